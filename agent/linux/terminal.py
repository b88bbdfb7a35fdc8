# SPDX-License-Identifier: Apache-2.0
"""Terminals (man 4 tty_ioctl, man 3 termios)."""

from __future__ import annotations

import fcntl
import os
import struct
import termios
from typing import Final

TIOCGPTPEER: Final = 0x5441
"""include/uapi/asm-generic/ioctls.h"""
_WINSIZE: Final = struct.Struct("HHHH")
"""struct winsize: rows, columns, and two unused numbers."""


def take_controlling_terminal(fd: int) -> None:
    """Make `fd` the controlling terminal of this session, taking it from another."""
    fcntl.ioctl(fd, termios.TIOCSCTTY, 1)


def set_window_size(fd: int, rows: int, columns: int) -> None:
    """Set the size of the terminal `fd`; its foreground processes get SIGWINCH."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, _WINSIZE.pack(rows, columns, 0, 0))


def open_peer(master: int) -> int:
    """Open the terminal whose master is `master`, not as the controlling one.

    The kernel opens it itself (man 2 ioctl_tty, TIOCGPTPEER), because its path is one
    of the container. Raises `OSError`.
    """
    flags = os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC
    return fcntl.ioctl(master, TIOCGPTPEER, flags)


def set_terminal_owner(master: int, uid: int) -> None:
    """Give the terminal whose master is `master` to a user; its group stays.

    Raises `OSError`.
    """
    terminal = open_peer(master)
    try:
        os.fchown(terminal, uid, -1)
    finally:
        os.close(terminal)


def pass_input_raw(fd: int) -> None:
    """Pass every typed byte of the terminal `fd` on unchanged, without echo.

    Output is still processed, because other programs write lines to the terminal.
    """
    attributes = termios.tcgetattr(fd)
    attributes[0] &= ~(termios.BRKINT | termios.ICRNL | termios.INPCK | termios.ISTRIP)
    attributes[0] &= ~termios.IXON
    attributes[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
    termios.tcsetattr(fd, termios.TCSANOW, attributes)
