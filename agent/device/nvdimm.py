# SPDX-License-Identifier: Apache-2.0
"""`nvdimm`: persistent memory, which the host names as the guest will: `/dev/pmem0`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from kata_agent.device.hotplug import Hotplug
from kata_agent.device.node import Found, node_name, read_node
from kata_agent.device.uevent import UeventMatcher
from kata_agent.errors import InvalidArgument
from kata_protos.agent_pb2 import Device

NAME: Final = re.compile(r"pmem[0-9]+")


async def find(hotplug: Hotplug, device: Device) -> Found:
    """Find the device `vm_path`."""
    return Found(read_node(await wait_for_disk(hotplug, device.vm_path)))


async def wait_for_disk(hotplug: Hotplug, vm_path: str) -> Path:
    """Return the node of `vm_path`, which is on ACPI's or virtio's NVDIMM bus."""
    name = node_name(vm_path)
    if not NAME.fullmatch(name):
        raise InvalidArgument(f"device {vm_path!r}: not a persistent memory device")
    matcher = UeventMatcher(
        description=f"persistent memory device {vm_path}",
        subsystem="block",
        devpath=re.compile(rf"/devices/.+/block/{name}"),
    )
    return await hotplug.wait_for_node(matcher)
