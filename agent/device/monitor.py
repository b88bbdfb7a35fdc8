# SPDX-License-Identifier: Apache-2.0
"""A source of device events."""

from __future__ import annotations

from typing import Protocol

from kata_agent.device.uevent import Uevent


class Monitor(Protocol):
    """`KernelMonitor`, or in the tests `tests.helpers.sysfs.FakeMonitor`."""

    def fileno(self) -> int:
        """Return a descriptor that is readable when there is an event."""

    def receive(self) -> Uevent | None:
        """Return the next event, or None if there is none yet. Never waits.

        Raises `OSError` if the kernel had to drop events.
        """
