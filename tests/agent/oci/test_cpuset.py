# SPDX-License-Identifier: Apache-2.0
"""CPU sets, reduced to the CPUs and nodes of the guest."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kata_agent.errors import InvalidArgument
from kata_agent.oci.cpuset import clamp_cpuset, parse_list, serialize_list
from kata_agent.oci.spec import Spec


@given(st.sets(st.integers(0, 300)))
def test_lists_survive(numbers: set[int]) -> None:
    assert parse_list(serialize_list(numbers)) == numbers


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("", set()), ("0-2,4\n", {0, 1, 2, 4}), ("01,1", {1}), ("3-3", {3})],
)
def test_parse(text: str, numbers: set[int]) -> None:
    assert parse_list(text) == numbers


@pytest.mark.parametrize("text", ["x", "1-", "-1", "3-1", "1-2-3", "0-999999999"])
def test_nonsense_is_named(text: str) -> None:
    with pytest.raises(InvalidArgument, match=f"cpuset '{text}'"):
        parse_list(text)


@pytest.mark.parametrize(
    ("wanted", "possible"),
    [("0", "0"), ("1,3", "1,3"), ("2-9", "2-3"), ("0-7,99", "0-3"), ("8-9", None)],
)
def test_cpus_are_reduced_to_those_online(
    tmp_path: Path, wanted: str, possible: str | None
) -> None:
    file = tmp_path / "devices/system/cpu/online"
    file.parent.mkdir(parents=True)
    file.write_text("0-3\n")
    resources: Spec = {"cpu": {"cpus": wanted, "mems": "0-1"}, "pids": {"limit": 1}}
    clamp_cpuset(resources, tmp_path)
    assert resources["cpu"].get("cpus") == possible
    # Without NUMA there is only node 0.
    assert resources["cpu"]["mems"] == "0"


def test_nothing_left_is_nothing_asked(tmp_path: Path) -> None:
    file = tmp_path / "devices/system/cpu/online"
    file.parent.mkdir(parents=True)
    file.write_text("0-3\n")
    resources: Spec = {"cpu": {"cpus": "8"}}
    clamp_cpuset(resources, tmp_path)
    assert resources == {}
