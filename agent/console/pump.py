# SPDX-License-Identifier: Apache-2.0
"""The movement of bytes from one descriptor to another, on the event loop."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Final

CHUNK: Final = 65536
"""Bytes that are read at once."""


class Pump:
    """Moves bytes between two nonblocking descriptors, at the pace of the slower.

    A pump holds one chunk, and reads the next when that one is written.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        source: int,
        sink: int,
        ended: Callable[[bool], None],
        changed: Callable[[bytes], bytes] = bytes,
    ) -> None:
        """Call `ended` once: False at the end of `source`, True when `sink` broke.

        `changed` returns what is written in place of what was read; it may be nothing.
        """
        self._loop = loop
        self._source = source
        self._sink = sink
        self._ended = ended
        self._changed = changed
        self._chunk = b""
        self.last = b""
        """The last byte that was to be written."""
        loop.add_reader(source, self._read)

    def stop(self) -> None:
        self._loop.remove_reader(self._source)
        self._loop.remove_writer(self._sink)

    def _read(self) -> None:
        try:
            self._chunk = os.read(self._source, CHUNK)
        except BlockingIOError:
            return
        except OSError:
            # EIO: no process has the slave open any more; ECONNRESET: the peer died.
            self._chunk = b""
        if not self._chunk:
            self.stop()
            self._ended(False)
            return
        self._chunk = self._changed(self._chunk)
        if not self._chunk:
            return
        self.last = self._chunk[-1:]
        self._loop.remove_reader(self._source)
        if self._watch(self._loop.add_writer, self._sink, self._write):
            self._write()

    def _write(self) -> None:
        try:
            self._chunk = self._chunk[os.write(self._sink, self._chunk) :]
        except BlockingIOError:
            return
        except OSError:
            self.stop()
            self._ended(True)
            return
        if not self._chunk:
            self._loop.remove_writer(self._sink)
            self._watch(self._loop.add_reader, self._source, self._read)

    def _watch(
        self,
        add: Callable[[int, Callable[[], None]], None],
        fd: int,
        callback: Callable[[], None],
    ) -> bool:
        """Watch one more descriptor; without memory for that, the sink has broken."""
        try:
            add(fd, callback)
        except OSError:
            self.stop()
            self._ended(True)
            return False
        return True
