# SPDX-License-Identifier: Apache-2.0
"""A tree like `/sys` and `/dev`, and the device events of a kernel."""

from __future__ import annotations

import asyncio
import errno
import os
from collections import deque
from pathlib import Path

from kata_agent.device.hotplug import Hotplug
from kata_agent.device.uevent import Uevent
from kata_agent.device.uevents import Uevents
from kata_agent.system_paths import SystemPaths


class FakeMonitor:
    """Returns the events that a test sends."""

    def __init__(self) -> None:
        self._pending: deque[Uevent | OSError] = deque()
        self._readable, self._wake = os.pipe()
        self.sent = self.received = 0

    def fileno(self) -> int:
        return self._readable

    def send(self, *events: Uevent | OSError) -> None:
        self._pending.extend(events)
        self.sent += len(events)
        os.write(self._wake, b"x" * len(events))

    def receive(self) -> Uevent | None:
        if not self._pending:
            return None
        os.read(self._readable, 1)
        event = self._pending.popleft()
        self.received += 1
        if isinstance(event, OSError):
            raise event
        return event

    def close(self) -> None:
        os.close(self._readable)
        os.close(self._wake)


LOST = OSError(errno.ENOBUFS, "No buffer space available")


class Sysfs:
    """A guest's devices: in the tree, in the events, or in both."""

    def __init__(self, root: Path) -> None:
        self.paths = SystemPaths(
            proc=root / "proc", sys=root / "sys", dev=root / "dev", run=root / "run"
        )
        for directory in (self.paths.proc, self.paths.sys, self.paths.dev):
            directory.mkdir()
        self.monitor = FakeMonitor()
        self.is_monitored = False
        """Whether the monitor of the events is open."""
        self.uevents = Uevents(self.paths, self._open_monitor)

    def _open_monitor(self) -> FakeMonitor:
        self.is_monitored = True
        return self.monitor

    async def until_received(self) -> None:
        """Wait until every event that was sent has been handled."""
        while self.monitor.received < self.monitor.sent:
            await asyncio.sleep(0)
        # Let the tasks run that the last event has woken.
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def until_written(self, file: Path) -> str:
        """Wait until the agent has written to `file` of sysfs; return the text."""
        while not (file.exists() and (text := file.read_text())):
            await asyncio.sleep(0)
        return text

    def hotplug(self, timeout: float = 30.0) -> Hotplug:
        """Wait for devices of this tree, each for `timeout` seconds."""
        return Hotplug(self.paths, self.uevents, timeout)

    def add(self, subsystem: str, devpath: str, *, node: bool = True) -> Uevent:
        """Put a device into the tree; return its event, which the test may send."""
        event = added(subsystem, devpath)
        directory = self.paths.sys / devpath.removeprefix("/")
        directory.mkdir(parents=True)
        key = {"net": "INTERFACE=", "pci": "PCI_SLOT_NAME="}.get(subsystem, "DEVNAME=")
        (directory / "uevent").write_text(f"MODALIAS=x\n{key}{event.name}\n")
        links = self.paths.sys / "class" / subsystem
        links.mkdir(parents=True, exist_ok=True)
        (links / directory.name).symlink_to(directory)
        if node:
            (self.paths.dev / event.name).touch()
        return event


def added(subsystem: str, devpath: str, action: str = "add") -> Uevent:
    """Return the event of a device that has come, or with `action`, another event."""
    return Uevent(action, subsystem, devpath, name=os.path.basename(devpath))
