# SPDX-License-Identifier: Apache-2.0
"""A streaming call as the blocking client sees it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from google.protobuf.message import DecodeError

from ttrpc.codes import Code
from ttrpc.errors import Closed, RemoteProtocolError, StatusError
from ttrpc.service import RequestT, ResponseT

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from ttrpc.call_context import CallContext
    from ttrpc.stream import Stream
    from ttrpc.sync.session import Session

T = TypeVar("T")


class ClientStream(Generic[RequestT, ResponseT]):
    """Messages to the server and from the server; `ttrpc.aio` has the same.

    with client.open_stream(ECHO_STREAM) as stream:
        stream.send(request)
        stream.close_send()
        for response in stream:
            ...
    """

    def __init__(self, stream: Stream, session: Session, context: CallContext) -> None:
        self._stream = stream
        self._session = session
        self._context = context

    def send(self, request: RequestT) -> None:
        """Send a message; waits while the server leaves too much unread."""
        payload = request.SerializeToString()
        self._check()
        self._session.connection.send_message(self._stream, payload)
        self._in_time(self._session.flush)

    def close_send(self) -> None:
        """Tell the server that no more messages come."""
        self._check()
        self._session.connection.close_send(self._stream)
        self._in_time(self._session.flush)

    def recv(self) -> ResponseT | None:
        """Return the next message, or None when the server sends no more."""
        payload: Any = self._in_time(
            lambda deadline: self._session.take(self._stream, deadline)
        )
        if payload is None:
            return None
        method = self._stream.method
        try:
            response: ResponseT = method.response_type.FromString(payload)
        except DecodeError as exc:
            raise RemoteProtocolError(
                f"{method.full_method}: message is not protobuf: {exc}"
            ) from None
        return response

    def response(self) -> ResponseT:
        """Close this side and return the one response of a client-streaming call."""
        if self._stream.can_send:
            self.close_send()
        response = self.recv()
        if response is None:
            raise RemoteProtocolError(
                f"{self._stream.method.full_method}: ended without a response"
            )
        return response

    def __iter__(self) -> Iterator[ResponseT]:
        return iter(self.recv, None)

    def close(self) -> None:
        """Abandon the stream; harmless when it has ended."""
        if not self._stream.is_closed and self._session.closed is None:
            error = Closed(f"stream {self._stream.stream_id}: abandoned")
            self._session.fail(self._stream, error)
            # What cannot be told is of no use to anybody any more.
            with contextlib.suppress(Closed, TimeoutError):
                self._session.flush(self._context.deadline)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _check(self) -> None:
        """Raise what has ended the stream, if an error did."""
        if self._stream.inbox.error is not None:
            raise self._stream.inbox.error

    def _in_time(self, wait: Callable[[Any], T]) -> T:
        try:
            return wait(self._context.deadline)
        except TimeoutError:
            error = timed_out(self._context)
            self._session.fail(self._stream, error)
            raise error from None


def timed_out(context: CallContext) -> StatusError:
    return StatusError(
        Code.DEADLINE_EXCEEDED, f"{context.method.full_method}: deadline exceeded"
    )
