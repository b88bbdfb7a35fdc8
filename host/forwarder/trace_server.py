# SPDX-License-Identifier: Apache-2.0
"""Takes batches from guests over HTTP/1.1, and trusts none of them.

Requests are limited in path, type, size and time, and connections in number, so that
one hostile guest cannot take the forwarder from another.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from kata_host.forwarder.defaults import GUEST_CONNECTIONS
from kata_host.forwarder.listen import TraceListener
from kata_host.forwarder.received_batch import FORMATS, ReceivedBatch
from kata_host.forwarder.sink import TRY_AGAIN, BatchResponse, Sink
from kata_host.log_limit import LogLimit
from kata_tracing.http1.message import HttpError, HttpMessage, format_response
from kata_tracing.http1.message_reader import MessageReader

log = logging.getLogger(__name__)

CHUNK: Final = 64 << 10
"""Bytes that one read takes at most."""
ACCEPT_PAUSE: Final = 0.1
"""Seconds to wait when no connection can be accepted."""


@dataclass(frozen=True, slots=True)
class TraceServerLimits:
    """Sizes in bytes, times in seconds."""

    body: int = 2 << 20
    """Twice the bytes that an agent sends; a body of empty spans decodes to 300 MiB."""
    idle: float = 120.0
    """Between two requests. The agent sends a batch only when there are spans."""
    request: float = 20.0
    """From the first byte of a request to its last, and again for the response."""
    connections: int = 128
    """Connections of all guests together."""
    guest_connections: int = GUEST_CONNECTIONS
    """Connections of one listener, or of one vsock context id. An agent needs one."""


class TraceServer:
    """Serves the trace port on any number of listeners."""

    def __init__(
        self,
        listeners: Sequence[TraceListener],
        sink: Sink,
        *,
        limits: TraceServerLimits | None = None,
    ) -> None:
        self._listeners = listeners
        self._sink = sink
        self._limits = limits or TraceServerLimits()
        self._warnings = LogLimit(log)
        self._connections: Counter[str] = Counter()
        self._accepting: list[asyncio.Task[None]] = []
        self._serving: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        for listener in self._listeners:
            listener.socket.setblocking(False)
            self._accepting.append(asyncio.create_task(self._accept(listener)))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close listeners and connections; requests in flight are broken off."""
        tasks = [*self._accepting, *self._serving]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listener in self._listeners:
            listener.socket.close()

    async def _accept(self, listener: TraceListener) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listener.socket)
            except OSError as error:
                # Most likely no descriptor is left; other connections will end.
                self._warnings.warning(
                    "%s: cannot accept: %s", listener.name, error, cause=listener.name
                )
                await asyncio.sleep(ACCEPT_PAUSE)
                continue
            guest = listener.name
            if connection.family == socket.AF_VSOCK:
                guest = f"{listener.name} cid {address[0]}"
            connection.setblocking(False)
            task = asyncio.create_task(self._serve(connection, guest))
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)

    async def _serve(self, connection: socket.socket, guest: str) -> None:
        self._connections[guest] += 1
        try:
            if (
                self._connections[guest] > self._limits.guest_connections
                or self._connections.total() > self._limits.connections
            ):
                self._warnings.warning("%s: too many connections", guest, cause=guest)
                await self._send(connection, TRY_AGAIN, last=True)
                return
            await self._requests(connection, guest)
        except (OSError, TimeoutError) as error:
            log.debug("%s: connection ended: %s", guest, error)
        finally:
            connection.close()
            self._connections[guest] -= 1
            if not self._connections[guest]:
                del self._connections[guest]

    async def _requests(self, connection: socket.socket, guest: str) -> None:
        reader = MessageReader(max_body=self._limits.body)
        while True:
            try:
                message = await self._receive(connection, reader)
            except HttpError as error:
                # The beginning of the next request cannot be found.
                self._warnings.warning("%s: %s", guest, error, cause=guest)
                await self._send(connection, BatchResponse(error.status), last=True)
                return
            if message is None:
                return
            response = await self._respond(message, guest)
            await self._send(connection, response, last=not message.keeps_alive)
            if not message.keeps_alive:
                return

    async def _receive(
        self, connection: socket.socket, reader: MessageReader
    ) -> HttpMessage | None:
        """Return the next request, None if the guest has closed the connection."""
        loop = asyncio.get_running_loop()
        message = reader.feed(b"")
        if message is None and not reader.has_begun:
            async with asyncio.timeout(self._limits.idle):
                data = await loop.sock_recv(connection, CHUNK)
            if not data:
                return None
            message = reader.feed(data)
        async with asyncio.timeout(self._limits.request):
            while message is None:
                data = await loop.sock_recv(connection, CHUNK)
                message = reader.feed(data) if data else reader.end()
        return message

    async def _respond(self, message: HttpMessage, guest: str) -> BatchResponse:
        try:
            method, target = message.target
        except HttpError as error:
            return BatchResponse(error.status)
        batch_format = FORMATS.get(target.partition("?")[0])
        if batch_format is None:
            return BatchResponse(404)
        if method != "POST":
            return BatchResponse(405, {"Allow": "POST"})
        content_type = message.headers.get("content-type", "").partition(";")[0].strip()
        encoding = message.headers.get("content-encoding", "identity")
        if content_type not in batch_format.content_types:
            return BatchResponse(415)
        try:
            body = decompress(message.body, encoding, self._limits.body)
        except HttpError as error:
            return BatchResponse(error.status)
        batch = ReceivedBatch(batch_format, content_type, body, guest)
        return await self._sink.take(batch)

    async def _send(
        self, connection: socket.socket, response: BatchResponse, *, last: bool
    ) -> None:
        headers = dict(response.headers)
        if last:
            headers["Connection"] = "close"
        data = format_response(response.status, response.reason, headers, response.body)
        async with asyncio.timeout(self._limits.request):
            await asyncio.get_running_loop().sock_sendall(connection, data)
        if last:
            # The rest of the guest's bytes is not read. Without this, the reset of
            # the connection could overtake the response.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo a Content-Encoding, to `limit` bytes at most. Raises `HttpError`."""
    if encoding == "identity":
        return body
    if encoding != "gzip":
        raise HttpError(415, f"unknown content encoding {encoding[:16]!r}")
    stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        plain = stream.decompress(body, limit)
    except zlib.error:
        raise HttpError(400, "body is not gzip") from None
    if not stream.eof:
        raise HttpError(413, f"body over {limit} bytes once unpacked, or cut off")
    return plain
