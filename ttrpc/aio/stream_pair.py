# SPDX-License-Identifier: Apache-2.0
"""asyncio's two streams as one byte stream: TLS, the pipes of a program, SSH."""

from __future__ import annotations

from typing import Final, Protocol

RECEIVE_SIZE: Final = 64 << 10


class StreamReader(Protocol):
    """The method of `asyncio.StreamReader` that is called; asyncssh's has it too."""

    async def read(self, n: int, /) -> bytes: ...


class StreamWriter(Protocol):
    """The methods of `asyncio.StreamWriter` that are called."""

    def write(self, data: bytes, /) -> None: ...

    async def drain(self) -> None: ...

    def close(self) -> None: ...


class StreamPair:
    """A `ByteStream` of a reader and a writer.

        Client(StreamPair(*await asyncio.open_connection(host, port, ssl=context)))
        Client(StreamPair(process.stdout, process.stdin))

    The first has TLS, the second a program behind its pipes, `ssh` for example.
    """

    def __init__(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def receive(self) -> bytes:
        """Read what is there."""
        return await self._reader.read(RECEIVE_SIZE)

    async def send(self, data: bytes) -> None:
        """Write, and wait while the writer holds too much."""
        self._writer.write(data)
        await self._writer.drain()

    def close(self) -> None:
        """Close the writer, which ends the reader too."""
        self._writer.close()
