# SPDX-License-Identifier: Apache-2.0
"""The host's terminal, handed to a process in a guest and taken back."""

from __future__ import annotations

import contextlib
import os
import termios
import tty
from collections.abc import Iterator


@contextlib.contextmanager
def raw(fd: int) -> Iterator[None]:
    """Pass every key on as it is, Ctrl-C included, and restore the terminal after."""
    before = termios.tcgetattr(fd)
    try:
        tty.setraw(fd, termios.TCSANOW)
        yield
    finally:
        # Not TCSAFLUSH: what was typed ahead belongs to the shell.
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


def size(fd: int) -> tuple[int, int]:
    """Return the rows and columns of the terminal."""
    columns, rows = os.get_terminal_size(fd)
    return rows, columns
