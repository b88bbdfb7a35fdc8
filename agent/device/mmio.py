# SPDX-License-Identifier: Apache-2.0
"""`mmioblk`: a disk on virtio-mmio, which the host names as the guest's kernel will."""

from __future__ import annotations

import re
from pathlib import Path

from kata_agent.device.device_match import DeviceMatch
from kata_agent.device.hotplug import Hotplug
from kata_agent.device.node import node_name, read_node
from kata_agent.device.uevent_matcher import UeventMatcher
from kata_protos.agent_pb2 import Device


async def find(hotplug: Hotplug, device: Device) -> DeviceMatch:
    """Find the disk whose node is `vm_path`."""
    return DeviceMatch(read_node(await wait_for_disk(hotplug, device.vm_path)))


async def wait_for_disk(hotplug: Hotplug, vm_path: str) -> Path:
    """Return the node of the disk `vm_path` (`/dev/vdb`), on any bus.

    Raises `InvalidArgument` or `Timeout`.
    """
    name = node_name(vm_path)
    matcher = UeventMatcher(
        description=f"block device {vm_path}",
        subsystem="block",
        devpath=re.compile(rf"/devices/.+/block/{re.escape(name)}"),
    )
    return await hotplug.wait_for_node(matcher)
