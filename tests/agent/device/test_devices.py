# SPDX-License-Identifier: Apache-2.0
"""A request's devices as a whole: the checks, and the edited spec."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from kata_agent.device.device_match import DeviceMatch
from kata_agent.device.devices import Devices, check
from kata_agent.device.handlers import HANDLERS
from kata_agent.device.hotplug import Hotplug
from kata_agent.device.node import DeviceNode
from kata_agent.device.rules import complete_rules
from kata_agent.errors import InvalidArgument, Timeout
from kata_protos.agent_pb2 import Device
from tests.helpers.sysfs import Sysfs


@pytest.mark.parametrize(
    ("device", "error"),
    [
        (Device(), "device '': no type"),
        (Device(id="1", vm_path="/dev/a", container_path="/dev/a"), "no type"),
        (Device(type="blk", container_path="/dev/a"), "neither id nor vm_path"),
        (Device(type="blk", id="1"), "device '1': no container_path"),
        (Device(type="x", id="1", container_path="/dev/a"), "unknown type 'x'"),
        (Device(type="blk", id="1", container_path="/dev/a"), None),
        (Device(type="blk", vm_path="/dev/a", container_path="/dev/a"), None),
    ],
)
def test_a_request_that_cannot_be_carried_out_is_refused(
    device: Device, error: str | None
) -> None:
    if error is None:
        check(device)
        return
    with pytest.raises(InvalidArgument, match=error):
        check(device)


@pytest.fixture
def devices(sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch) -> Devices:
    """Devices with a driver that finds each device whose id is a number."""

    async def find(hotplug: Hotplug, device: Device) -> DeviceMatch:
        if not device.id.isdigit():
            raise Timeout(f"no {device.id}")
        addresses = {f"0000:3b:00.{device.id}": f"0000:01:00.{device.id}"}
        return DeviceMatch(DeviceNode("c", 200, int(device.id)), addresses)

    monkeypatch.setitem(HANDLERS, "fake", find)
    return Devices(sysfs.hotplug())


def request(*ids: str) -> list[Device]:
    return [Device(type="fake", id=it, container_path=f"/dev/{it}") for it in ids]


def spec(*paths: str) -> dict[str, Any]:
    nodes = [{"path": path, "type": "b", "major": 8, "minor": 0} for path in paths]
    env = ["A=b", "PCIDEVICE_X=0000:3b:00.1,0000:3b:00.2"]
    return {"process": {"env": env}, "linux": {"devices": nodes}}


async def test_a_spec_gets_numbers_rules_and_addresses(devices: Devices) -> None:
    given = spec("/dev/1", "/dev/2", "/dev/3")
    addresses = await devices.add(request("1", "2"), given)
    complete_rules(given, [])
    linux = given["linux"]
    numbers = [(it["type"], it["major"], it["minor"]) for it in linux["devices"]]
    assert numbers == [("c", 200, 1), ("c", 200, 2), ("b", 8, 0)]
    assert linux["resources"]["devices"][-3:] == [
        {"allow": True, "type": "c", "major": 200, "minor": 1, "access": "rwm"},
        {"allow": True, "type": "c", "major": 200, "minor": 2, "access": "rwm"},
        {"allow": True, "type": "b", "major": 8, "minor": 0, "access": "rwm"},
    ]
    assert given["process"]["env"] == ["A=b", "PCIDEVICE_X=0000:01:00.1,0000:01:00.2"]
    # The processes that are executed in the container later need them, too.
    assert addresses == {
        "0000:3b:00.1": "0000:01:00.1",
        "0000:3b:00.2": "0000:01:00.2",
    }


async def test_an_address_of_another_container_is_not_known(devices: Devices) -> None:
    await devices.add(request("1"), spec("/dev/1"))
    given = spec("/dev/2")
    assert await devices.add(request("2"), given) == {"0000:3b:00.2": "0000:01:00.2"}
    # The host has given 3b:00.1 to another device since, if to any.
    assert given["process"]["env"] == ["A=b", "PCIDEVICE_X=0000:3b:00.1,0000:01:00.2"]


async def test_a_spec_without_devices_gets_rules(devices: Devices) -> None:
    given: dict[str, Any] = {}
    await devices.add([], given)
    complete_rules(given, [])
    assert given["linux"]["resources"]["devices"]


async def test_a_spec_stays_as_it_was_without_its_devices(devices: Devices) -> None:
    given = spec("/dev/1", "/dev/x")
    before = copy.deepcopy(given)
    with pytest.raises(Timeout, match="no x"):
        await devices.add(request("1", "x"), given)
    with pytest.raises(InvalidArgument, match="device '/dev/1': given twice"):
        await devices.add(request("1", "1"), given)
    assert given == before
