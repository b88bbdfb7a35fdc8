# SPDX-License-Identifier: Apache-2.0
"""Lines of output with the times at which they came."""

from __future__ import annotations

from datetime import UTC, datetime

from kata_host.keeper.log_reader import Chunk


class Stamped:
    """Puts the time before each line of one stream, whose chunks may split lines."""

    def __init__(self) -> None:
        self._in_line = False

    def take(self, chunk: Chunk) -> bytes:
        """Return the bytes of a chunk with the times of the lines that begin in it."""
        time = datetime.fromtimestamp(chunk.time / 1e9, UTC)
        stamp = f"{time:%Y-%m-%dT%H:%M:%S.%f}Z ".encode()
        stamped = []
        for line in chunk.data.splitlines(keepends=True):
            stamped += [line] if self._in_line else [stamp, line]
            self._in_line = not line.endswith(b"\n")
        return b"".join(stamped)
