# SPDX-License-Identifier: Apache-2.0
"""`vfio-pci` and `vfio-pci-gk`: PCI devices of the host, passed through.

Options name each device of one IOMMU group: `HOST_ADDRESS=GUEST_PCI_PATH`, as in
`0000:3b:00.1=02/03`. The environment of a container's process has the host's addresses
(`PCIDEVICE_*`, of Kubernetes device plugins), so a match holds the guest's address of
each device.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from kata_agent.blocking import blocking
from kata_agent.device.device_match import DeviceMatch
from kata_agent.device.hotplug import Hotplug
from kata_agent.device.node import read_node
from kata_agent.device.pci import devpath_of, parse_pci_path, rescan
from kata_agent.device.uevent_matcher import UeventMatcher
from kata_agent.errors import Internal, InvalidArgument
from kata_agent.system_paths import SystemPaths
from kata_protos.agent_pb2 import Device

DRIVER: Final = "vfio-pci"
HOST_ADDRESS: Final = re.compile(
    r"(?:[0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7]"
)


async def find(hotplug: Hotplug, device: Device) -> DeviceMatch:
    """Bind the devices to the guest's vfio driver; the container gets their group.

    The group's node is `/dev/vfio/GROUP` (kernel, driver-api/vfio.rst).
    """
    addresses = await _wait_for_addresses(hotplug, device)
    if not addresses:
        raise InvalidArgument(
            f"device {device.container_path!r}: no PCI device in its options"
        )
    group = await blocking(_bind_all, hotplug.paths, list(addresses.values()))
    matcher = UeventMatcher(
        description=f"VFIO group {group}",
        subsystem="vfio",
        devpath=re.compile(rf"/devices/virtual/vfio/{group}"),
    )
    path = await hotplug.wait_for_node(matcher)
    # The name contains the group's number, and the guest has numbers of its own.
    node = replace(read_node(path), container_path=f"/dev/vfio/{group}")
    return DeviceMatch(node, addresses)


async def find_for_kernel(hotplug: Hotplug, device: Device) -> DeviceMatch:
    """Wait for devices that the guest's kernel drives."""
    return DeviceMatch(None, await _wait_for_addresses(hotplug, device))


async def _wait_for_addresses(hotplug: Hotplug, device: Device) -> dict[str, str]:
    """Return the guest's address of each host address, once all devices are there."""
    addresses = {}
    for option in device.options:
        host, separator, pci_path = option.partition("=")
        if not separator or not HOST_ADDRESS.fullmatch(host):
            raise InvalidArgument(
                f"device {device.container_path!r}: "
                f"option {option!r} is not HOST_ADDRESS=PCI_PATH"
            )
        # The host's runtime leaves the path empty for a device that it does not give.
        if pci_path:
            addresses[host] = await _wait_for_address(hotplug, pci_path)
    return addresses


async def _wait_for_address(hotplug: Hotplug, pci_path: str) -> str:
    path = parse_pci_path(pci_path)
    devpath = devpath_of(hotplug.paths, path)
    matcher = UeventMatcher(
        description=f"a PCI device at PCI path {path}",
        subsystem="pci",
        devpath=re.compile(re.escape(devpath)),
    )
    await hotplug.wait_for(matcher, prompt=partial(rescan, hotplug.paths))
    return os.path.basename(devpath)


def _bind_all(paths: SystemPaths, addresses: list[str]) -> str:
    """Bind the devices to the vfio driver; return the IOMMU group that all are in."""
    groups = {_bind(paths, address) for address in addresses}
    if len(groups) != 1:
        raise Internal(
            f"PCI devices {addresses}: in several IOMMU groups {sorted(groups)}"
        )
    return groups.pop()


def _bind(paths: SystemPaths, address: str) -> str:
    """Bind one device to the vfio driver (kernel, ABI/testing/sysfs-bus-pci)."""
    device = paths.sys / "bus/pci/devices" / address
    try:
        group = os.path.basename(os.readlink(device / "iommu_group"))
    except FileNotFoundError:
        raise Internal(f"PCI device {address}: in no IOMMU group") from None
    if _driver_of(device) == DRIVER:
        return group
    (device / "driver_override").write_text(DRIVER)
    if _driver_of(device) is not None:
        (device / "driver/unbind").write_text(address)
    (paths.sys / "bus/pci/drivers_probe").write_text(address)
    if _driver_of(device) != DRIVER:
        raise Internal(f"PCI device {address}: the {DRIVER} driver did not take it")
    return group


def _driver_of(device: Path) -> str | None:
    try:
        return os.path.basename(os.readlink(device / "driver"))
    except FileNotFoundError:
        return None
