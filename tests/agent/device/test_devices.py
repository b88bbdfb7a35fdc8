# SPDX-License-Identifier: Apache-2.0
"""A request's devices as a whole: checks, and what becomes of the spec."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kata_agent.device.devices import HANDLERS, Devices, check
from kata_agent.device.hotplug import Hotplug
from kata_agent.device.network import wait_for_interface
from kata_agent.device.node import DeviceNode, Found, node_at, read_node
from kata_agent.errors import InvalidArgument, NotFound, Timeout
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
def test_checks(device: Device, error: str | None) -> None:
    if error is None:
        check(device)
        return
    with pytest.raises(InvalidArgument, match=error):
        check(device)


def test_a_node() -> None:
    assert read_node(Path("/dev/null")) == DeviceNode("c", 1, 3)


def test_what_is_no_node(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such node"):
        read_node(tmp_path / "a")
    (tmp_path / "a").touch()
    with pytest.raises(InvalidArgument, match="not a device node"):
        read_node(tmp_path / "a")


@pytest.mark.parametrize(
    "path", ["", "/dev", "/dev/", "vda", "/etc/passwd", "/dev/../etc/a", "/dev//a"]
)
def test_what_is_not_below_dev(sysfs: Sysfs, path: str) -> None:
    with pytest.raises(InvalidArgument, match="not a node in /dev"):
        node_at(sysfs.paths, path)


@pytest.fixture
async def sysfs(tmp_path: Path) -> AsyncIterator[Sysfs]:
    sysfs = Sysfs(tmp_path)
    (sysfs.paths.proc / "self").mkdir()
    (sysfs.paths.proc / "self/mountinfo").write_text("")
    yield sysfs
    sysfs.uevents.close()
    sysfs.monitor.close()


@pytest.fixture
def devices(sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch) -> Devices:
    """Devices with a driver that finds what has a number as its id."""

    async def find(hotplug: Hotplug, device: Device) -> Found:
        if not device.id.isdigit():
            raise Timeout(f"no {device.id}")
        addresses = {f"0000:3b:00.{device.id}": f"0000:01:00.{device.id}"}
        return Found(DeviceNode("c", 200, int(device.id)), addresses)

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
    await devices.add(request("1", "2"), given)
    linux = given["linux"]
    numbers = [(it["type"], it["major"], it["minor"]) for it in linux["devices"]]
    assert numbers == [("c", 200, 1), ("c", 200, 2), ("b", 8, 0)]
    assert linux["resources"]["devices"][-3:] == [
        {"allow": True, "type": "c", "major": 200, "minor": 1, "access": "rwm"},
        {"allow": True, "type": "c", "major": 200, "minor": 2, "access": "rwm"},
        {"allow": True, "type": "b", "major": 8, "minor": 0, "access": "rwm"},
    ]
    assert given["process"]["env"] == ["A=b", "PCIDEVICE_X=0000:01:00.1,0000:01:00.2"]
    # Those that are executed in it later, too.
    env = devices.translate_environment(["PCIDEVICE_Y=0000:3b:00.2"])
    assert env == ["PCIDEVICE_Y=0000:01:00.2"]


async def test_a_spec_without_devices_gets_rules(devices: Devices) -> None:
    given: dict[str, Any] = {}
    await devices.add([], given)
    assert given["linux"]["resources"]["devices"]


async def test_a_spec_stays_as_it_was_without_its_devices(devices: Devices) -> None:
    given = spec("/dev/1", "/dev/x")
    before = copy.deepcopy(given)
    with pytest.raises(Timeout, match="no x"):
        await devices.add(request("1", "x"), given)
    with pytest.raises(InvalidArgument, match="device '/dev/1': given twice"):
        await devices.add(request("1", "1"), given)
    assert given == before


async def test_persistent_memory_has_a_name(sysfs: Sysfs) -> None:
    hotplug = Hotplug(sysfs.paths, sysfs.uevents, 0.01)
    with pytest.raises(InvalidArgument, match="not a persistent memory device"):
        await HANDLERS["nvdimm"](hotplug, Device(vm_path="/dev/vda"))
    sysfs.add("block", "/devices/LNXSYSTM:00/ndbus0/region0/block/pmem11")
    with pytest.raises(Timeout, match="persistent memory device /dev/pmem1"):
        await HANDLERS["nvdimm"](hotplug, Device(vm_path="/dev/pmem1"))


async def test_an_interface_is_found_by_where_it_is(sysfs: Sysfs) -> None:
    root = "/devices/pci0000:00"
    sysfs.add("net", f"{root}/0000:00:02.0/virtio1/net/eth0", node=False)
    sysfs.add("net", f"{root}/0000:00:03.0/net/eth1", node=False)
    hotplug = Hotplug(sysfs.paths, sysfs.uevents, 0.01)
    assert await wait_for_interface(hotplug, "02") == "eth0"
    assert await wait_for_interface(hotplug, "03") == "eth1"
    with pytest.raises(Timeout, match="a network interface at PCI path 04"):
        await wait_for_interface(hotplug, "04")
