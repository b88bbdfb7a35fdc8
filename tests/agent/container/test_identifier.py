# SPDX-License-Identifier: Apache-2.0
"""Ids that are and are not valid."""

from __future__ import annotations

import pytest

from kata_agent.container.identifier import check_container_id, check_exec_id
from kata_agent.errors import InvalidArgument


@pytest.mark.parametrize("container_id", ["c1", "A_.-", "0" * 255, "a.b", "a--b"])
def test_ids_that_name_a_container(container_id: str) -> None:
    check_container_id(container_id)


@pytest.mark.parametrize(
    "container_id",
    ["", "c", ".x", "-x", "_x", "../x", "a/b", "a b", "a\n", "a\0b", "éé", "a" * 256],
)
def test_ids_that_name_no_container(container_id: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid id") as raised:
        check_container_id(container_id)
    assert len(str(raised.value)) < 250
    assert "\n" not in str(raised.value)


def test_exec_ids_may_hold_any_character_but_nul() -> None:
    check_exec_id("c1", "any name/at all")
    for exec_id in ("", "a\0", "e" * 256):
        with pytest.raises(InvalidArgument, match="container 'c1': invalid exec id"):
            check_exec_id("c1", exec_id)
