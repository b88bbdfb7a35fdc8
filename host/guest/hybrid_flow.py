# SPDX-License-Identifier: Apache-2.0
"""One direction of a connection between two nonblocking sockets."""

from __future__ import annotations

import socket
from typing import Final

from kata_host.guest.half_close import stop_receiving

CHUNKS_PER_TURN: Final = 16
"""Reads of one direction before the other connections have their turn."""


class Flow:
    """Moves the bytes that `source` receives to `sink`, and then the end of them.

    `first` are bytes to send before those of the source.
    """

    def __init__(
        self, source: socket.socket, sink: socket.socket, first: bytes = b""
    ) -> None:
        self._source = source
        self._sink = sink
        self._unsent = memoryview(first)
        self._at_end = False
        self.done = False
        """The sink has got the end of the source, or takes no more bytes."""

    def move(self, chunk: memoryview) -> bool:
        """Move bytes until a socket would block; return whether there may be more.

        `chunk` is scratch memory that all flows share.
        """
        for _ in range(CHUNKS_PER_TURN):
            if self.done:
                return False
            try:
                if self._unsent:
                    self._send()
                elif self._at_end:
                    self._sink.shutdown(socket.SHUT_WR)
                    self.done = True
                else:
                    self._receive(chunk)
            except BlockingIOError:
                return False
            except OSError:
                self._refuse()
        return True

    def _send(self) -> None:
        sent = self._sink.send(self._unsent, socket.MSG_NOSIGNAL)
        self._unsent = self._unsent[sent:]

    def _receive(self, chunk: memoryview) -> None:
        try:
            length = self._source.recv_into(chunk)
        except ConnectionResetError:
            length = 0
        if not length:
            self._at_end = True
            return
        self._unsent = chunk[:length]
        try:
            self._send()
        finally:
            # Copied, because other flows overwrite the chunk.
            self._unsent = memoryview(bytes(self._unsent))

    def _refuse(self) -> None:
        """Make the source's sends fail, because the sink takes no more bytes."""
        self.done = True
        try:
            stop_receiving(self._source)
        except OSError:
            return  # The source has closed as well.
