# SPDX-License-Identifier: Apache-2.0
"""A person at a shell on the other end of a socket: types a line, reads the answer."""

from __future__ import annotations

import re
import socket
from types import TracebackType
from typing import Self

PATIENCE = 30.0


class Shell:
    """Talks to a shell over `connection`, which is closed at the end."""

    def __init__(
        self, connection: socket.socket, *, patience: float = PATIENCE
    ) -> None:
        connection.settimeout(patience)
        self.connection = connection
        self._seen = b""
        self._count = 0

    def type(self, text: str) -> None:
        self.connection.sendall(text.encode())

    def until(self, pattern: str) -> re.Match[str]:
        """Read until `pattern` has been seen, and drop all up to its end."""
        while True:
            text = self._seen.decode(errors="replace")
            if match := re.search(pattern, text):
                self._seen = text[match.end() :].encode()
                return match
            try:
                part = self.connection.recv(65536)
            except TimeoutError:
                raise AssertionError(f"no {pattern!r} in {text!r}") from None
            assert part, f"closed before {pattern!r}, after {text!r}"
            self._seen += part

    def run(self, command: str) -> str:
        """Run a command line; return its output, without the last newline.

        Output of other programs on the same terminal in that time is in it too.
        """
        self._count += 1
        # The echo of the typed line has the sum, the output has its value.
        mark = f"$((1000 + {self._count}))"
        self.type(f"echo begin-{mark}; {command}; echo end-{mark}=$?\n")
        number = 1000 + self._count
        self.until(f"begin-{number}\r*\n")
        text = self.until(rf"(?s)(.*?)end-{number}=\d+\r*\n")[1]
        # The serial console adds a carriage return of its own to the shell's.
        return re.sub(r"\r+\n", "\n", text).removesuffix("\n")

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
