# SPDX-License-Identifier: Apache-2.0
"""Devices that are in sysfs already, as the events that announced them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from kata_agent.device.uevent import Uevent
from kata_agent.device.uevent_matcher import UeventMatcher
from kata_agent.system_paths import SystemPaths


def find_device(paths: SystemPaths, matcher: UeventMatcher) -> Uevent | None:
    """Return the event of a matching device that is ready to be used. Blocks."""
    for directory in _devices(paths.sys, matcher.subsystem):
        event = _event_of(paths.sys, matcher.subsystem, directory)
        if event is not None and matcher.matches(event) and _is_ready(paths.dev, event):
            return event
    return None


def _devices(sys: Path, subsystem: str) -> Iterator[Path]:
    for parent in (sys / "class" / subsystem, sys / "bus" / subsystem / "devices"):
        try:
            names = os.listdir(parent)
        except FileNotFoundError:
            continue
        for name in sorted(names):
            yield parent / name


def _event_of(sys: Path, subsystem: str, directory: Path) -> Uevent | None:
    """Return the event that announced a device, None if it has just gone."""
    try:
        real = directory.resolve(strict=True)
        properties = dict(
            line.partition("=")[::2]
            for line in (real / "uevent").read_text().splitlines()
        )
    except OSError:
        return None
    return Uevent(
        action="add",
        subsystem=subsystem,
        devpath=f"/{real.relative_to(sys.resolve())}",
        name=properties.get("DEVNAME") or properties.get("INTERFACE", ""),
    )


def _is_ready(dev: Path, event: Uevent) -> bool:
    """Tell whether the device can be used already.

    A device is in sysfs a moment before it has a node and, if it is a disk, before it
    can be opened (kernel, device_add_disk). The device's event comes after that, so the
    event of a device that is not ready is still to come.
    """
    if event.subsystem == "net" or not event.name:
        return True
    node = dev / event.name
    if event.subsystem != "block":
        return node.exists()
    try:
        os.close(os.open(node, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))
    except OSError:
        return False
    return True
