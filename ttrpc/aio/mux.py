# SPDX-License-Identifier: Apache-2.0
"""Several connections over one, as NRI does it.

ttrpc has no calls from the server to its client. NRI's plugins and runtimes call each
other over one socket nevertheless: it carries two connections, one for each direction.
Before each piece of a connection's bytes are its number and the length of the piece, as
two numbers of 32 bits in network order (containerd/nri, pkg/net/multiplex). Nothing on
the wire tells that a connection was opened or closed.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Final, Self

from ttrpc.aio.byte_sender import BUFFER_SIZE, ByteSender
from ttrpc.aio.dial import dial
from ttrpc.aio.mux_connection import MuxConnection
from ttrpc.aio.owned_socket import check_connection
from ttrpc.aio.socket_stream import SocketStream

if TYPE_CHECKING:
    from ttrpc.address import Address
    from ttrpc.aio.byte_stream import ByteStream

HEADER: Final = struct.Struct(">II")
PIECE: Final = 4096
"""Bytes. NRI's library refuses a piece that is longer than what it reads at once."""
LAST_NUMBER: Final = 0xFFFFFFFF


class Mux:
    """Carries connections, each of which a client or a server can have.

        mux = await Mux.connect("unix:///var/run/nri/nri.sock")
        plugin, runtime = mux.open(1), mux.open(2)
        async with Server([...]) as server, Client(runtime) as client:
            served = server.serve_connection(plugin)
            ...
            await served.wait_closed()

    Open all connections before the first `await`, because bytes for others are dropped.
    While one is not read, the others wait. The trunk is closed with the last of them.
    """

    def __init__(self, trunk: socket.socket | ByteStream) -> None:
        """Carry connections over a connected socket or stream, which is owned now.

        Raises:
            ValueError: a socket that is not a connected stream socket without TLS.
            TypeError: neither a socket nor a `ByteStream`.
        """
        check_connection(trunk)
        if isinstance(trunk, socket.socket):
            trunk.setblocking(False)
            trunk = SocketStream(trunk)
        self._loop = asyncio.get_running_loop()
        self._trunk = trunk
        self._connections: dict[int, MuxConnection] = {}
        self._room: asyncio.Future[None] | None = None
        """What senders wait for while the trunk takes no more."""
        self._sender = ByteSender(
            trunk.send, sent=self._after_send, finished=self._end_trunk
        )
        self._receiving = self._loop.create_task(self._receive())
        self._is_closed = False

    @classmethod
    async def connect(
        cls, address: Address | str, *, timeout: float | None = None
    ) -> Self:
        """Connect to an address, for up to `timeout` seconds; None tries once.

        Raises as `Client.connect` does.
        """
        return cls(await dial(address, timeout=timeout))

    def open(self, number: int) -> ByteStream:
        """Return the connection of a number; the other side has it too.

        Raises:
            ValueError: it is open, or `number` does not fit 32 bits.
            ConnectionError: the mux is closed.
        """
        if not 0 <= number <= LAST_NUMBER:
            raise ValueError(f"connection {number}: not 32 bits")
        if number in self._connections:
            raise ValueError(f"connection {number}: is open")
        if self._is_closed or self._receiving.done():
            raise ConnectionAbortedError("mux: closed")

        async def send(data: bytes) -> None:
            await self._send(number, data)

        def closed() -> None:
            self._connections.pop(number, None)
            if not self._connections:
                self.close()

        connection = self._connections[number] = MuxConnection(send, closed)
        return connection

    def close(self) -> None:
        """End the trunk and all its connections; harmless if they have ended."""
        if not self._is_closed:
            self._is_closed = True
            self._end_all(ConnectionAbortedError("mux: closed"))
            self._receiving.cancel()
            self._sender.close()

    async def _send(self, number: int, data: bytes) -> None:
        while self._sender.error is None and self._sender.size >= BUFFER_SIZE:
            if self._room is None:
                self._room = self._loop.create_future()
            # Others may wait for it too.
            await asyncio.shield(self._room)
        if self._sender.error is not None:
            raise self._sender.error
        if self._is_closed:
            raise ConnectionAbortedError("mux: closed")
        pieces = []
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            pieces += [HEADER.pack(number, len(piece)), piece]
        self._sender.put(b"".join(pieces))

    async def _receive(self) -> None:
        try:
            await self._carry()
        except Exception as exc:
            self._end_all(exc)
        except BaseException as exc:
            if not self._loop.is_closed():  # Else Python closes the coroutine.
                cause = type(exc).__name__
                self._end_all(ConnectionAbortedError(f"receiving ended by {cause}"))
            raise
        else:
            self._end_all(None)

    async def _carry(self) -> None:
        """Hand on what comes, until the trunk ends. Raises the errors of the trunk."""
        number = left = 0
        pending = b""
        while received := await self._trunk.receive():
            data = memoryview(pending + received)
            while data:
                if not left:
                    if len(data) < HEADER.size:
                        break
                    number, left = HEADER.unpack_from(data)
                    data = data[HEADER.size :]
                    continue
                piece, data = data[:left], data[left:]
                left -= len(piece)
                connection = self._connections.get(number)
                if connection is not None:
                    await connection.put(bytes(piece))
            pending = bytes(data)
        if left or pending:
            raise ConnectionResetError("mux: ended within a piece")

    def _end_all(self, error: Exception | None) -> None:
        for connection in self._connections.values():
            connection.end(error)

    def _after_send(self) -> None:
        if self._room is not None:
            self._room.set_result(None)
            self._room = None
        if self._sender.error is not None:
            self._end_all(self._sender.error)

    def _end_trunk(self) -> None:
        """Close the trunk when no call of it is under way any more."""
        self._receiving.add_done_callback(lambda _: self._trunk.close())
