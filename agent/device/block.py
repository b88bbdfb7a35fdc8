# SPDX-License-Identifier: Apache-2.0
"""`blk`: a virtio disk on the PCI bus, named by its PCI path."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from kata_agent.device.device_match import DeviceMatch
from kata_agent.device.hotplug import Hotplug
from kata_agent.device.node import node_at, read_node
from kata_agent.device.pci import devpath_of, parse_pci_path, rescan
from kata_agent.device.uevent_matcher import UeventMatcher
from kata_protos.agent_pb2 import Device


async def find(hotplug: Hotplug, device: Device) -> DeviceMatch:
    """Find the disk by its PCI path (`id`) or, without one, by its node (`vm_path`)."""
    if device.id:
        node = await wait_for_disk(hotplug, device.id)
    else:
        node = node_at(hotplug.paths, device.vm_path)
    return DeviceMatch(read_node(node))


async def wait_for_disk(hotplug: Hotplug, pci_path: str) -> Path:
    """Return the node of the virtio disk at `pci_path`.

    Raises `InvalidArgument`, `NotFound` or `Timeout`.
    """
    path = parse_pci_path(pci_path)
    devpath = re.escape(devpath_of(hotplug.paths, path))
    matcher = UeventMatcher(
        description=f"a block device at PCI path {path}",
        subsystem="block",
        devpath=re.compile(rf"{devpath}/virtio[0-9]+/block/[^/]+"),
    )
    return await hotplug.wait_for_node(matcher, prompt=partial(rescan, hotplug.paths))
