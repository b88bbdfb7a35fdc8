# SPDX-License-Identifier: Apache-2.0
"""Terminals (man 4 tty_ioctl, man 3 termios)."""

from __future__ import annotations

import fcntl
import struct
import termios
from typing import Final

_WINSIZE: Final = struct.Struct("HHHH")
"""struct winsize: rows, columns, and two that nobody uses."""


def take_controlling_terminal(fd: int) -> None:
    """Make the terminal `fd` that of the session we lead, even if another has it."""
    fcntl.ioctl(fd, termios.TIOCSCTTY, 1)


def set_window_size(fd: int, rows: int, columns: int) -> None:
    """Set the size of the terminal `fd`; its foreground processes get SIGWINCH."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, _WINSIZE.pack(rows, columns, 0, 0))


def pass_input_raw(fd: int) -> None:
    """Give every byte typed at the terminal `fd` to its reader, and echo none.

    Output is still processed, since others write lines to the same terminal.
    """
    attributes = termios.tcgetattr(fd)
    attributes[0] &= ~(termios.BRKINT | termios.ICRNL | termios.INPCK | termios.ISTRIP)
    attributes[0] &= ~termios.IXON
    attributes[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
    termios.tcsetattr(fd, termios.TCSANOW, attributes)
