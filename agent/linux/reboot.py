# SPDX-License-Identifier: Apache-2.0
"""Stop the machine (man 2 reboot)."""

from __future__ import annotations

import ctypes
from typing import Final

from kata_agent.linux import libc

RB_POWER_OFF: Final = 0x4321FEDC


def reboot(command: int) -> None:
    """Carry out `command`. In a child pid namespace this kills its PID 1 instead."""
    libc.call("reboot", ctypes.c_int(command))
