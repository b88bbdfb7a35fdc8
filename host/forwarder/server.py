# SPDX-License-Identifier: Apache-2.0
"""Takes batches from guests over HTTP/1.1, and believes nothing.

Every guest is hostile: requests are limited in path, type, size and time, and
connections in number, so that one guest cannot take the forwarder from another.
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

from kata_host.forwarder.batch import AGAIN, ROUTES, Answer, Batch, Sink
from kata_tracing import http1

log = logging.getLogger(__name__)

CHUNK: Final = 64 << 10


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes in bytes, times in seconds."""

    body: int = 2 << 20
    """Twice what an agent sends; nothing but empty spans, it decodes to 300 MiB."""
    idle: float = 120.0
    """Between two requests. The agent's batches come when there are spans."""
    request: float = 20.0
    """From the first byte of a request to its last, and for our answer to leave."""
    connections: int = 128
    """Together, over all guests."""
    guest_connections: int = 8
    """Of one listener, or of one context id on vsock. The agent needs one."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A bound, listening socket and its name in logs."""

    socket: socket.socket
    name: str


class TraceServer:
    """Serves the trace port on any number of listeners."""

    def __init__(
        self, listeners: Sequence[Listener], sink: Sink, *, limits: Limits | None = None
    ) -> None:
        self._listeners = listeners
        self._sink = sink
        self._limits = limits or Limits()
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
        """Close listeners and connections; calls in flight are broken off."""
        tasks = [*self._accepting, *self._serving]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listener in self._listeners:
            listener.socket.close()

    async def _accept(self, listener: Listener) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(listener.socket)
            except OSError as error:
                # Out of descriptors, most likely: others will close theirs.
                log.warning("%s: cannot accept: %s", listener.name, error)
                await asyncio.sleep(0.1)
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
                log.warning("%s: too many connections", guest)
                await self._send(connection, AGAIN, last=True)
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
        reader = http1.MessageReader(max_body=self._limits.body)
        while True:
            try:
                message = await self._receive(connection, reader)
            except http1.HttpError as error:
                # Where the next request would begin is anybody's guess.
                log.warning("%s: %s", guest, error)
                await self._send(connection, Answer(error.status), last=True)
                return
            if message is None:
                return
            answer = await self._answer(message, guest)
            await self._send(connection, answer, last=not message.keeps_alive)
            if not message.keeps_alive:
                return

    async def _receive(
        self, connection: socket.socket, reader: http1.MessageReader
    ) -> http1.Message | None:
        """Return the next request, None when the guest has closed."""
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

    async def _answer(self, message: http1.Message, guest: str) -> Answer:
        try:
            method, target = message.target
        except http1.HttpError as error:
            return Answer(error.status)
        route = ROUTES.get(target.partition("?")[0])
        if route is None:
            return Answer(404)
        if method != "POST":
            return Answer(405, {"Allow": "POST"})
        content_type = message.headers.get("content-type", "").partition(";")[0].strip()
        encoding = message.headers.get("content-encoding", "identity")
        if content_type not in route.content_types:
            return Answer(415)
        try:
            body = decompress(message.body, encoding, self._limits.body)
        except http1.HttpError as error:
            return Answer(error.status)
        return await self._sink.take(Batch(route, content_type, body, guest))

    async def _send(
        self, connection: socket.socket, answer: Answer, *, last: bool
    ) -> None:
        headers = dict(answer.headers)
        if last:
            headers["Connection"] = "close"
        data = http1.response(answer.status, answer.reason, headers, answer.body)
        async with asyncio.timeout(self._limits.request):
            await asyncio.get_running_loop().sock_sendall(connection, data)
        if last:
            # The rest of what the guest sends is not read; a reset must not
            # overtake the answer.
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_WR)


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo a Content-Encoding, to `limit` bytes at most. Raises `http1.HttpError`."""
    if encoding == "identity":
        return body
    if encoding != "gzip":
        raise http1.HttpError(415, f"unknown encoding {encoding[:16]!r}")
    stream = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        plain = stream.decompress(body, limit)
    except zlib.error:
        raise http1.HttpError(400, "not gzip") from None
    if not stream.eof:
        raise http1.HttpError(413, f"over {limit} bytes once unpacked, or cut off")
    return plain
