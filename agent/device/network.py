# SPDX-License-Identifier: Apache-2.0
"""Network interfaces by PCI path.

An interface has no node, and no path in a container.
"""

from __future__ import annotations

import re
from functools import partial

from kata_agent.device.hotplug import Hotplug
from kata_agent.device.pci import devpath_of, parse_pci_path, rescan
from kata_agent.device.uevent_matcher import UeventMatcher


async def wait_for_interface(hotplug: Hotplug, pci_path: str) -> str:
    """Return the name that the kernel gave the interface at `pci_path`.

    Raises `InvalidArgument`, `NotFound` or `Timeout`.
    """
    path = parse_pci_path(pci_path)
    devpath = re.escape(devpath_of(hotplug.paths, path))
    matcher = UeventMatcher(
        description=f"a network interface at PCI path {path}",
        subsystem="net",
        # A virtual function of real hardware has no virtio device in between.
        devpath=re.compile(rf"{devpath}(?:/virtio[0-9]+)?/net/[^/]+"),
    )
    event = await hotplug.wait_for(matcher, prompt=partial(rescan, hotplug.paths))
    return event.name
