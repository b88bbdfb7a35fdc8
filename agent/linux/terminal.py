# SPDX-License-Identifier: Apache-2.0
"""Terminals (man 4 tty_ioctl, man 3 termios)."""

from __future__ import annotations

import fcntl
import struct
import termios
from typing import Final

_WINSIZE: Final = struct.Struct("HHHH")
"""struct winsize: rows, columns, and two unused numbers."""


def take_controlling_terminal(fd: int) -> None:
    """Make `fd` the controlling terminal of this session, taking it from another."""
    fcntl.ioctl(fd, termios.TIOCSCTTY, 1)


def set_window_size(fd: int, rows: int, columns: int) -> None:
    """Set the size of the terminal `fd`; its foreground processes get SIGWINCH."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, _WINSIZE.pack(rows, columns, 0, 0))


def pass_input_raw(fd: int) -> None:
    """Pass every typed byte of the terminal `fd` on unchanged, without echo.

    Output is still processed, because other programs write lines to the terminal.
    """
    attributes = termios.tcgetattr(fd)
    attributes[0] &= ~(termios.BRKINT | termios.ICRNL | termios.INPCK | termios.ISTRIP)
    attributes[0] &= ~termios.IXON
    attributes[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
    termios.tcsetattr(fd, termios.TCSANOW, attributes)
