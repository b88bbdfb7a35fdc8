# SPDX-License-Identifier: Apache-2.0
"""A streaming call as the client sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic

from google.protobuf.message import DecodeError

from ttrpc.aio.reader import Reader
from ttrpc.errors import RemoteProtocolError
from ttrpc.service import RequestT, ResponseT

if TYPE_CHECKING:
    from types import TracebackType

    from ttrpc.aio.client_session import ClientSession
    from ttrpc.aio.inbox import Inbox
    from ttrpc.stream import Stream


class ClientStream(Reader[ResponseT], Generic[RequestT, ResponseT]):
    """Messages to the server and from the server.

        async with await client.open_stream(ECHO_STREAM) as stream:
            await stream.send(request)
            await stream.close_send()
            async for response in stream:
                ...

    Leaving the block, or cancelling the task in it, abandons what has not ended.
    """

    def __init__(self, stream: Stream, inbox: Inbox, session: ClientSession) -> None:
        super().__init__(inbox, stream.method.response_type)
        self._stream = stream
        self._session = session

    async def send(self, request: RequestT) -> None:
        """Send a message; waits while the server leaves too much unread.

        Raises:
            StatusError: the server has ended the stream with it.
            LocalProtocolError: the method takes one request, which opened it.
            StreamClosed: the stream has ended well, or after `close_send`.
            OversizedMessage: it is over the limit; nothing was sent.
            Closed: the connection has ended.
        """
        session = self._session
        transport = session.transport
        if transport.is_full:
            await transport.drain(self._stream)
        session.check_open(self._stream)
        session.connection.send_message(self._stream, request.SerializeToString())
        transport.flush_soon()

    async def close_send(self) -> None:
        """Tell the server that no more messages come. Raises as `send` does."""
        self._session.check_open(self._stream)
        self._session.connection.close_send(self._stream)
        self._session.transport.flush_soon()

    def _unreadable(self, exc: DecodeError) -> Exception:
        name = self._stream.method.full_method
        return RemoteProtocolError(f"{name}: message is not protobuf: {exc}")

    async def response(self) -> ResponseT:
        """Close this side and return the one response of a client-streaming call.

        Raises as `recv` does.
        """
        if self._stream.can_send:
            await self.close_send()
        response = await self.recv()
        if response is None:
            raise RemoteProtocolError(
                f"{self._stream.method.full_method}: ended without a response"
            )
        return response

    def close(self) -> None:
        """Abandon the stream; harmless when it has ended."""
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
