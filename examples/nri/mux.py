# SPDX-License-Identifier: Apache-2.0
"""NRI's multiplexer: several connections over one socket.

Before each piece of a connection's bytes are its number and the length of the piece,
as two numbers of 32 bits in network order.
"""

from __future__ import annotations

import asyncio
import socket
import struct

HEADER = struct.Struct(">II")
# The Go library refuses a piece that is longer than what it reads at once.
PIECE = 4096


class Mux:
    """Connections over one, each as a socket that any ttrpc peer can use."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._trunk_reader = reader
        self._trunk_writer = writer
        self._writers: dict[int, asyncio.StreamWriter] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, number: int) -> socket.socket:
        """Return one end of a connection; the other is carried over the trunk."""
        ours, theirs = socket.socketpair()
        reader, self._writers[number] = await asyncio.open_connection(sock=ours)
        self._tasks.append(asyncio.create_task(self._send(number, reader)))
        return theirs

    async def run(self) -> None:
        """Carry what comes over the trunk, until that ends; then end them all."""
        reader = self._trunk_reader
        try:
            while True:
                number, length = HEADER.unpack(await reader.readexactly(HEADER.size))
                piece = await reader.readexactly(length)
                if number in self._writers:
                    self._writers[number].write(piece)
                    await self._writers[number].drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            for writer in (*self._writers.values(), self._trunk_writer):
                writer.close()

    async def _send(self, number: int, reader: asyncio.StreamReader) -> None:
        while piece := await reader.read(PIECE):
            self._trunk_writer.write(HEADER.pack(number, len(piece)) + piece)
            await self._trunk_writer.drain()
