# SPDX-License-Identifier: Apache-2.0
"""Strings that the runtime would cut."""

from __future__ import annotations

from typing import Any

import pytest

from kata_agent.errors import InvalidArgument
from kata_agent.oci.nul import refuse_nul


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"process": {"args": ["sh", "a\0b"]}}, "spec.process.args"),
        ({"mounts": [{"source": "/a\0"}]}, "spec.mounts.source"),
        ({"annotations": {"a\0": "b"}}, "spec.annotations"),
    ],
)
def test_a_nul_is_named_by_its_place(value: Any, where: str) -> None:
    with pytest.raises(InvalidArgument, match=rf"^{where}: a NUL character in 'a?/?"):
        refuse_nul(value, "spec")


def test_any_other_value_is_fine() -> None:
    refuse_nul({"a": [1, None, True, "\n", {"b": 2.0}]}, "spec")
