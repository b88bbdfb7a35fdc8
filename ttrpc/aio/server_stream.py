# SPDX-License-Identifier: Apache-2.0
"""A streaming call as its handler on the server sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Generic

from google.protobuf.message import DecodeError

from ttrpc.codes import Code
from ttrpc.errors import LocalProtocolError, StatusError, StreamClosed
from ttrpc.service import RequestT, ResponseT

if TYPE_CHECKING:
    from ttrpc.aio.inbox import Inbox
    from ttrpc.aio.transport import Transport
    from ttrpc.server_connection import ServerConnection
    from ttrpc.stream import Stream


class ServerStream(Generic[RequestT, ResponseT]):
    """Messages from the client and to the client.

        async def echo_stream(self, stream, context):
            async for request in stream:
                await stream.send(request)

    A method whose client streams and whose server does not returns its response
    from the handler. Whatever the handler raises ends the stream as that status.
    """

    __slots__ = ("_connection", "_inbox", "_returned", "_stream", "_transport")

    def __init__(
        self,
        stream: Stream,
        inbox: Inbox,
        *,
        connection: ServerConnection,
        transport: Transport,
    ) -> None:
        self._stream = stream
        self._inbox = inbox
        self._connection = connection
        self._transport = transport
        self._returned = False

    async def recv(self) -> RequestT | None:
        """Return the next message, or None when the client sends no more.

        Raises:
            StatusError: INTERNAL, what came is not this method's request.
            Closed: the stream or the connection has ended.
        """
        inbox = self._inbox
        payload = inbox.take() if inbox.messages else await inbox.get()
        return None if payload is None else self._decode(payload)

    def _decode(self, payload: bytes) -> RequestT:
        try:
            request: RequestT = self._stream.method.request_type.FromString(payload)
        except DecodeError as exc:
            raise StatusError(
                Code.INTERNAL, f"ttrpc: error unmarshalling payload: {exc}"
            ) from None
        return request

    def __aiter__(self) -> AsyncIterator[RequestT]:
        return self

    async def __anext__(self) -> RequestT:
        if self._inbox.messages:
            return self._decode(self._inbox.take())
        request = await self.recv()
        if request is None:
            raise StopAsyncIteration
        return request

    async def send(self, response: ResponseT) -> None:
        """Send a message; waits while the client leaves too much unread.

        Raises:
            StreamClosed: the stream has ended.
            OversizedMessage: it is over the limit; nothing was sent.
            LocalProtocolError: the method has one response, which is returned.
            Closed: the connection has ended.
        """
        stream = self._stream
        if not stream.method.cardinality.server_streaming:
            raise LocalProtocolError(
                f"{stream.method.full_method}: the server does not stream"
            )
        transport = self._transport
        if transport.is_full:
            await transport.drain(stream)
        if self._returned:
            raise StreamClosed(f"stream {stream.stream_id}: its handler has returned")
        self._connection.send_message(stream, response.SerializeToString())
        transport.flush_soon()

    def close(self) -> None:
        """The handler has returned; whoever still holds the stream cannot use it."""
        self._returned = True
        self._inbox.fail(
            StreamClosed(f"stream {self._stream.stream_id}: its handler has returned")
        )
