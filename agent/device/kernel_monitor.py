# SPDX-License-Identifier: Apache-2.0
"""The kernel's device events, read with pyudev.

No udevd runs in the guest, so these are the kernel's own messages on the netlink
socket; libudev drops messages of other processes. pyudev is imported when the first
monitor is made, because most guests need none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kata_agent.device.uevent import Uevent
from kata_agent.third_party import import_pyudev

if TYPE_CHECKING:
    import pyudev

RECEIVE_BUFFER: Final = 1 << 20
"""Bytes of events that the kernel keeps while the event loop is busy."""


class KernelMonitor:
    """Receives the events from its creation on. Blocks while it is made."""

    def __init__(self) -> None:
        """Raise `OSError` if libudev is missing or the socket cannot be opened."""
        pyudev = import_pyudev()
        self._monitor = pyudev.Monitor.from_netlink(pyudev.Context(), source="kernel")
        self._monitor.set_receive_buffer_size(RECEIVE_BUFFER)
        self._monitor.start()

    def fileno(self) -> int:
        descriptor: int = self._monitor.fileno()
        return descriptor

    def receive(self) -> Uevent | None:
        device = self._monitor.poll(timeout=0)
        return None if device is None else _to_uevent(device)


def _to_uevent(device: pyudev.Device) -> Uevent:
    properties = device.properties
    node = properties.get("DEVNAME", "").removeprefix("/dev/")
    return Uevent(
        action=device.action or "",
        subsystem=properties.get("SUBSYSTEM", ""),
        devpath=properties.get("DEVPATH", ""),
        name=node or properties.get("INTERFACE", ""),
    )
