# SPDX-License-Identifier: Apache-2.0
"""A streaming call as the blocking client sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from google.protobuf.message import DecodeError

from ttrpc.client_call import (
    check_message,
    missing_response,
    timed_out,
    unreadable_message,
)
from ttrpc.codes import Code
from ttrpc.errors import Closed
from ttrpc.raw import Raw
from ttrpc.service import RequestT, ResponseT
from ttrpc.stream_watcher import StreamWatcher, tell_end, watched

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from ttrpc.call_context import CallContext
    from ttrpc.deadline import Deadline
    from ttrpc.frame import Payload
    from ttrpc.stream import Stream
    from ttrpc.sync.client_session import ClientSession
    from ttrpc.sync.inbox import Inbox

T = TypeVar("T")


class ClientStream(Generic[RequestT, ResponseT]):
    """Sends messages to the server and receives messages from it.

        with client.open_stream(ECHO_STREAM) as stream:
            stream.send(request)
            stream.close_send()
            for response in stream:
                ...

    The methods raise the errors of `ttrpc.aio.ClientStream`. When the deadline passes,
    they end the stream and raise DEADLINE_EXCEEDED.
    """

    def __init__(
        self,
        stream: Stream,
        inbox: Inbox,
        session: ClientSession,
        context: CallContext,
    ) -> None:
        self._stream = stream
        self._inbox = inbox
        self._session = session
        self._context = context
        self._parse: Callable[[Payload], ResponseT] = (
            stream.method.response_type.FromString
        )
        self._watchers: tuple[StreamWatcher, ...] = ()

    def watch(self, watcher: StreamWatcher) -> None:
        """Have `watcher` see the messages from now on, and the end of the stream."""
        self._watchers += (watcher,)
        self._parse = watched(self._parse, watcher)
        if self._inbox.ended:
            tell_end([watcher], self._inbox.error)
        else:
            self._inbox.on_end = lambda error: tell_end(self._watchers, error)

    def send(self, request: RequestT) -> None:
        """Send a message. Waits while the server leaves too much unread."""
        method = self._stream.method
        check_message(method, request, method.request_type)
        payload = request.SerializeToString()
        with self._session.guard:
            self._inbox.check()
            self._session.connection.send_message(self._stream, payload)
            self._in_time(self._session.flush)
        for watcher in self._watchers:
            watcher.message_sent(request)

    def close_send(self) -> None:
        """Tell the server that no more messages come."""
        with self._session.guard:
            self._inbox.check()
            self._session.connection.close_send(self._stream)
            self._in_time(self._session.flush)

    def recv(self) -> ResponseT | None:
        """Return the next message, or None when the server sends no more."""
        with self._session.guard:
            payload = self._in_time(
                lambda deadline: self._session.receive(self._inbox, deadline)
            )
        if payload is None:
            return None
        try:
            return self._parse(payload)
        except DecodeError as exc:
            raise unreadable_message(self._stream.method, exc) from None

    def response(self) -> ResponseT:
        """Close this side and return the one response of a client-streaming call."""
        if self._stream.can_send:
            self.close_send()
        response = self.recv()
        if response is None:
            raise missing_response(self._stream.method)
        return response

    def __iter__(self) -> Iterator[ResponseT]:
        return iter(self.recv, None)

    @property
    def answer(self) -> Raw | None:
        """The response that ended a stream of a raw method, once `recv` has no more.

        None if the server streamed, or for another method: there it is a message.
        """
        answer = self._stream.answer
        return None if answer is None else Raw(answer)

    def close(self) -> None:
        """Abandon the stream; harmless if it has ended.

        After a fork, the stream stays with the other process.
        """
        session = self._session
        if self._stream.is_closed or session.closed is not None:
            return
        if session.guard.is_forked:
            return
        with session.guard:
            error = Closed(f"stream {self._stream.stream_id}: abandoned")
            session.fail(self._stream, error, Code.CANCELLED)
            # A server that does not read now is told with the next call.
            session.write()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _in_time(self, wait: Callable[[Deadline | None], T]) -> T:
        """Return the result of `wait`, or end the stream when the deadline passes."""
        try:
            return wait(self._context.deadline)
        except TimeoutError:
            error = timed_out(self._context)
            self._session.fail(self._stream, error)
            raise error from None
