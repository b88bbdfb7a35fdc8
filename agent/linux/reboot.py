# SPDX-License-Identifier: Apache-2.0
"""Stop the machine (man 2 reboot)."""

from __future__ import annotations

import ctypes
from typing import Final

from kata_agent.linux import libc

RB_AUTOBOOT: Final = 0x01234567
RB_POWER_OFF: Final = 0x4321FEDC


def reboot(command: int) -> None:
    """Carry out `command`; in a pid namespace, its PID 1 is killed instead."""
    libc.call("reboot", ctypes.c_int(command))
