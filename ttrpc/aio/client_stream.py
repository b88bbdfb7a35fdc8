# SPDX-License-Identifier: Apache-2.0
"""A streaming call as the client sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic

from google.protobuf.message import DecodeError

from ttrpc.aio.reader import Reader
from ttrpc.client_call import check_message, missing_response, unreadable_message
from ttrpc.raw import Raw
from ttrpc.service import RequestT, ResponseT
from ttrpc.stream_watcher import StreamWatcher, tell_end

if TYPE_CHECKING:
    from types import TracebackType

    from ttrpc.aio.client_session import ClientSession
    from ttrpc.aio.inbox import Inbox
    from ttrpc.stream import Stream


class ClientStream(Reader[ResponseT], Generic[RequestT, ResponseT]):
    """Sends messages to the server and receives messages from it.

        async with client.open_stream(ECHO_STREAM) as stream:
            await stream.send(request)
            await stream.close_send()
            async for response in stream:
                ...

    Leaving the block, or cancelling the task in it, abandons a stream that has not
    ended.
    """

    def __init__(self, stream: Stream, inbox: Inbox, session: ClientSession) -> None:
        super().__init__(inbox, stream.method.response_type)
        self._stream = stream
        self._session = session
        self._cork = session.transport.cork

    async def send(self, request: RequestT) -> None:
        """Send a message. Waits while the server leaves too much unread.

        Raises:
            StatusError: the server has ended the stream with this status.
            LocalProtocolError: the client does not stream; its request is sent already.
            StreamClosed: the stream has ended without an error, or `close_send` was
                called.
            TypeError: `request` is not of the method's request type.
            OversizedMessage: the message is over the limit; nothing was sent.
            Closed: the connection has ended.
        """
        method = self._stream.method
        if type(request) is not method.request_type:
            check_message(method, request, method.request_type)
        session = self._session
        transport = session.transport
        if transport.is_full:
            await transport.drain(self._stream)
        session.check_connected()
        self._inbox.check()
        session.connection.send_message(self._stream, request.SerializeToString())
        self._cork.flush_soon()
        if self._watchers:
            for watcher in self._watchers:
                watcher.message_sent(request)

    async def close_send(self) -> None:
        """Tell the server that no more messages come. Raises as `send` does."""
        self._session.check_connected()
        self._inbox.check()
        self._session.connection.close_send(self._stream)
        self._cork.flush_soon()

    def watch(self, watcher: StreamWatcher) -> None:
        """Have `watcher` see the messages from now on, and the end of the stream."""
        super().watch(watcher)
        if self._inbox.ended:
            tell_end([watcher], self._inbox.error)
        else:
            self._inbox.on_end = self._tell_end

    def _tell_end(self, error: Exception | None) -> None:
        tell_end(self._watchers, error)

    def _unreadable(self, exc: DecodeError) -> Exception:
        return unreadable_message(self._stream.method, exc)

    async def response(self) -> ResponseT:
        """Close this side and return the one response of a client-streaming call.

        Raises as `recv` does.
        """
        if self._stream.can_send:
            await self.close_send()
        response = await self.recv()
        if response is None:
            raise missing_response(self._stream.method)
        return response

    @property
    def answer(self) -> Raw | None:
        """The response that ended a stream of a raw method, once `recv` has no more.

        None if the server streamed, or for another method: there it is a message.
        """
        answer = self._stream.answer
        return None if answer is None else Raw(answer)

    def close(self) -> None:
        """Abandon the stream; harmless if it has ended."""
        self._session.abandon(self._stream)

    async def __aenter__(self) -> ClientStream[RequestT, ResponseT]:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
