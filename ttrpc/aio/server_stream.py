# SPDX-License-Identifier: Apache-2.0
"""A streaming call as its handler on the server sees it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Generic

from google.protobuf.message import DecodeError

from ttrpc.aio.calls_in_flight import UNREAD
from ttrpc.aio.cork import FLUSH_SIZE
from ttrpc.aio.reader import Reader
from ttrpc.codes import Code
from ttrpc.errors import LocalProtocolError, StatusError, StreamClosed
from ttrpc.service import RequestT, ResponseT
from ttrpc.stream_watcher import tell_end

if TYPE_CHECKING:
    from ttrpc.aio.inbox import Inbox
    from ttrpc.aio.transport import Transport
    from ttrpc.server_connection import ServerConnection
    from ttrpc.stream import Stream


class ServerStream(Reader[RequestT], Generic[RequestT, ResponseT]):
    """Receives messages from the client and sends messages to it.

        async def echo_stream(self, stream, context):
            async for request in stream:
                await stream.send(request)

    Where only the client streams, the handler returns the one response. An exception
    of the handler ends the stream with its status.
    """

    __slots__ = (
        "_connection",
        "_cork",
        "_is_server_streaming",
        "_returned",
        "_stream",
        "_transport",
    )

    def __init__(
        self,
        stream: Stream,
        inbox: Inbox,
        *,
        connection: ServerConnection,
        transport: Transport,
    ) -> None:
        super().__init__(inbox, stream.method.request_type)
        self._stream = stream
        self._connection = connection
        self._transport = transport
        self._cork = transport.cork
        self._returned = False
        self._is_server_streaming = stream.method.cardinality.server_streaming

    def _unreadable(self, exc: DecodeError) -> Exception:
        message = f"ttrpc: error unmarshalling payload: {exc}"
        return StatusError(Code.INTERNAL, message)

    async def send(self, response: ResponseT) -> None:
        """Send a message. Waits while the client leaves too much unread.

        Raises:
            StreamClosed: the stream has ended.
            OversizedMessage: the message is over the limit; nothing was sent.
            LocalProtocolError: the server does not stream; return the response.
            StatusError: RESOURCE_EXHAUSTED, all clients together leave so much unread
                that there is no room for the message.
            Closed: the connection has ended.
        """
        stream = self._stream
        if not self._is_server_streaming:
            raise LocalProtocolError(
                f"{stream.method.full_method}: the server does not stream"
            )
        transport = self._transport
        if transport.is_full:
            await transport.drain(stream)
        if self._returned:
            raise StreamClosed(f"stream {stream.stream_id}: its handler has returned")
        payload = response.SerializeToString()
        if len(payload) > FLUSH_SIZE and not transport.has_room_for(len(payload)):
            raise StatusError(UNREAD.code, UNREAD.message)
        self._connection.send_message(stream, payload)
        self._cork.flush_soon()
        if self._watchers:
            for watcher in self._watchers:
                watcher.message_sent(response)

    def close(self, error: BaseException | None) -> None:
        """Make the stream unusable, because its handler has returned or failed."""
        self._returned = True
        if self._watchers:
            if isinstance(error, asyncio.CancelledError):
                error = self._inbox.error or error
            tell_end(self._watchers, error)
        self._inbox.fail(
            StreamClosed(f"stream {self._stream.stream_id}: its handler has returned")
        )
