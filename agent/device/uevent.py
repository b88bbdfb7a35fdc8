# SPDX-License-Identifier: Apache-2.0
"""One device event of the kernel (kernel, lib/kobject_uevent.c)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Uevent:
    """A device was added, removed, changed, or bound to its driver."""

    action: str
    """`add`, `remove`, `change`, `bind` ..."""
    subsystem: str
    devpath: str
    """The device's path below `/sys`, as `/devices/pci0000:00/...`."""
    name: str = ""
    """The node below `/dev` (`vda`, `vfio/3`), or a network interface's name."""
