# SPDX-License-Identifier: Apache-2.0
"""A terminal whose user is the test."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import termios
from typing import Final

PATIENCE: Final = 30.0
"""Seconds to wait for the program's next output."""


class PseudoTerminal:
    """A pseudo terminal: `user` is the side of the keys, `program` the program's."""

    def __init__(self) -> None:
        self.user, self.program = os.openpty()
        self._seen = b""

    def resize(self, rows: int, columns: int) -> None:
        """Set the size in characters."""
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self.program, termios.TIOCSWINSZ, size)

    def type(self, keys: bytes) -> None:
        """Press keys."""
        os.write(self.user, keys)

    def expect(self, pattern: bytes) -> bytes:
        """Read until a regular expression matches; return the bytes before that."""
        while not (found := re.search(pattern, self._seen)):
            assert select.select([self.user], [], [], PATIENCE)[0], self._seen
            self._seen += os.read(self.user, 4096)
        before, self._seen = self._seen[: found.start()], self._seen[found.end() :]
        return before

    def settings(self) -> list[object]:
        """Return the settings that the program may change (man 3 termios)."""
        return termios.tcgetattr(self.program)

    def close(self) -> None:
        os.close(self.user)
        os.close(self.program)
