# SPDX-License-Identifier: Apache-2.0
"""`nvdimm`: persistent memory, which the host names as the guest's kernel will."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from kata_agent.device.device_match import DeviceMatch
from kata_agent.device.hotplug import Hotplug
from kata_agent.device.node import node_name, read_node
from kata_agent.device.uevent_matcher import UeventMatcher
from kata_agent.errors import InvalidArgument
from kata_protos.agent_pb2 import Device

NAME: Final = re.compile(r"pmem[0-9]+")


async def find(hotplug: Hotplug, device: Device) -> DeviceMatch:
    """Find the persistent memory whose node is `vm_path`."""
    return DeviceMatch(read_node(await wait_for_disk(hotplug, device.vm_path)))


async def wait_for_disk(hotplug: Hotplug, vm_path: str) -> Path:
    """Return the node of `vm_path` (`/dev/pmem0`), on ACPI's or virtio's NVDIMM bus.

    Raises `InvalidArgument` or `Timeout`.
    """
    name = node_name(vm_path)
    if not NAME.fullmatch(name):
        raise InvalidArgument(f"device {vm_path!r}: not a persistent memory device")
    matcher = UeventMatcher(
        description=f"persistent memory device {vm_path}",
        subsystem="block",
        devpath=re.compile(rf"/devices/.+/block/{name}"),
    )
    return await hotplug.wait_for_node(matcher)
