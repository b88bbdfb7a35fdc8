# SPDX-License-Identifier: Apache-2.0
"""The user's terminal, lent to a process in a guest."""

from __future__ import annotations

import contextlib
import errno
import os
import termios
import tty
from collections.abc import Iterator


@contextlib.contextmanager
def raw(fd: int) -> Iterator[None]:
    """Pass every key on unchanged, Ctrl-C too, and restore the terminal afterwards."""
    before = termios.tcgetattr(fd)
    try:
        tty.setraw(fd, termios.TCSANOW)
        yield
    finally:
        try:
            # Not TCSAFLUSH, which would drop keys that were typed for the user's shell.
            termios.tcsetattr(fd, termios.TCSADRAIN, before)
        except termios.error as error:
            if error.args[0] != errno.EIO:
                raise
            # The terminal was hung up, and has no settings any more.


def size(fd: int) -> tuple[int, int] | None:
    """Return the rows and columns of a terminal, in characters; None after its end."""
    try:
        columns, rows = os.get_terminal_size(fd)
    except OSError:
        return None
    return rows, columns
