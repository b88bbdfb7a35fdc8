# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import copy
from typing import Any

import pytest

from kata_agent.device.node import DeviceNode
from kata_agent.device.renumber import renumber
from kata_agent.errors import InvalidArgument


def device(path: str, major: int, minor: int, kind: str = "b") -> dict[str, Any]:
    return {"path": path, "type": kind, "major": major, "minor": minor}


def rule(major: int, minor: int, kind: str = "b", access: str = "rw") -> dict[str, Any]:
    return {
        "allow": True,
        "type": kind,
        "major": major,
        "minor": minor,
        "access": access,
    }


def spec(devices: list[Any], rules: list[Any] | None = None) -> dict[str, Any]:
    linux: dict[str, Any] = {"devices": devices}
    if rules is not None:
        linux["resources"] = {"devices": rules}
    return {"linux": linux}


def test_a_device_and_its_rules_get_the_guest_s_numbers() -> None:
    given = spec(
        [device("/dev/a", 8, 0), device("/dev/c", 8, 0, "c")],
        [rule(8, 0), rule(8, 0, "c"), rule(8, 1), rule(8, 0, access="m")],
    )
    renumber(given, {"/dev/a": DeviceNode("b", 254, 16)})
    assert given == spec(
        [device("/dev/a", 254, 16), device("/dev/c", 8, 0, "c")],
        [rule(254, 16), rule(8, 0, "c"), rule(8, 1), rule(254, 16, access="m")],
    )


def test_new_numbers_may_be_another_device_s_old_ones() -> None:
    given = spec(
        [device("/dev/a", 8, 0), device("/dev/b", 8, 16)],
        [rule(8, 0, access="r"), rule(8, 16, access="w")],
    )
    renumber(given, {"/dev/a": DeviceNode("b", 8, 16), "/dev/b": DeviceNode("b", 8, 0)})
    assert given == spec(
        [device("/dev/a", 8, 16), device("/dev/b", 8, 0)],
        [rule(8, 16, access="r"), rule(8, 0, access="w")],
    )


def test_a_device_may_get_another_name_in_the_container() -> None:
    given = spec([device("/dev/vfio/7", 240, 7, "c")])
    renumber(given, {"/dev/vfio/7": DeviceNode("c", 243, 0, "/dev/vfio/9")})
    assert given == spec([device("/dev/vfio/9", 243, 0, "c")])


def test_a_device_without_a_rule_is_allowed_where_there_are_rules() -> None:
    deny = {"allow": False, "access": "rwm"}
    given = spec([device("/dev/a", 8, 0)], [deny])
    renumber(given, {"/dev/a": DeviceNode("b", 254, 16)})
    assert given["linux"]["resources"]["devices"] == [
        deny,
        rule(254, 16, access="rwm"),
    ]
    # In a spec without rules, `complete_rules` writes all of them.
    empty: tuple[list[Any] | None, ...] = (None, [])
    for rules in empty:
        given = spec([device("/dev/a", 8, 0)], rules)
        renumber(given, {"/dev/a": DeviceNode("b", 254, 16)})
        assert not given["linux"].get("resources", {}).get("devices")


@pytest.mark.parametrize(
    "given", [{}, {"linux": {}}, {"linux": {"devices": None}}, spec([])]
)
def test_a_device_that_the_spec_does_not_have_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgument, match="device '/dev/a': not among the spec's"):
        renumber(given, {"/dev/a": DeviceNode("b", 254, 16)})
    renumber(given, {})


def test_nothing_changes_when_one_is_missing() -> None:
    given = spec([device("/dev/a", 8, 0)])
    before = copy.deepcopy(given)
    nodes = {"/dev/a": DeviceNode("b", 1, 1), "/dev/b": DeviceNode("b", 1, 2)}
    with pytest.raises(InvalidArgument, match="/dev/b"):
        renumber(given, nodes)
    assert given == before
