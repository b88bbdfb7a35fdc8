# SPDX-License-Identifier: Apache-2.0
"""`blk`: a virtio disk on the PCI bus, named by its PCI path."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from kata_agent.device.hotplug import Hotplug
from kata_agent.device.node import Found, node_at, read_node
from kata_agent.device.pci import devpath_of, parse_pci_path, rescan
from kata_agent.device.uevent import UeventMatcher
from kata_protos.agent_pb2 import Device


async def find(hotplug: Hotplug, device: Device) -> Found:
    """Find the disk by PCI path (`id`), or by name (`vm_path`) without one."""
    if not device.id:
        return Found(read_node(node_at(hotplug.paths, device.vm_path)))
    return Found(read_node(await wait_for_disk(hotplug, device.id)))


async def wait_for_disk(hotplug: Hotplug, pci_path: str) -> Path:
    """Return the node of the virtio disk at `pci_path`."""
    path = parse_pci_path(pci_path)
    devpath = re.escape(devpath_of(hotplug.paths, path))
    matcher = UeventMatcher(
        description=f"a block device at PCI path {path}",
        subsystem="block",
        devpath=re.compile(rf"{devpath}/virtio[0-9]+/block/[^/]+"),
    )
    return await hotplug.wait_for_node(matcher, prompt=partial(rescan, hotplug.paths))
