# SPDX-License-Identifier: Apache-2.0
"""The receiving half of a stream, which is the same on both sides."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from google.protobuf.message import DecodeError, Message

from ttrpc.raw import Raw
from ttrpc.stream_watcher import StreamWatcher, watched

if TYPE_CHECKING:
    from ttrpc.aio.inbox import Inbox

MessageT = TypeVar("MessageT", bound=Message | Raw)


class Reader(Generic[MessageT]):
    """Gives one message after the other, and then the end."""

    __slots__ = ("_inbox", "_parse", "_watchers")

    def __init__(self, inbox: Inbox, message_type: type[MessageT]) -> None:
        self._inbox = inbox
        parse: Any = message_type.FromString
        self._parse: Callable[[Any], MessageT] = parse
        self._watchers: tuple[StreamWatcher, ...] = ()

    def watch(self, watcher: StreamWatcher) -> None:
        """Have `watcher` see the messages from now on, and the end of the stream."""
        self._watchers += (watcher,)
        self._parse = watched(self._parse, watcher)

    async def recv(self) -> MessageT | None:
        """Return the next message, or None when the peer sends no more.

        Raises the error that ended the stream, or an error if the payload is not a
        valid message of this method.
        """
        async for message in self:
            return message
        return None

    def __aiter__(self) -> AsyncIterator[MessageT]:
        return self

    async def __anext__(self) -> MessageT:
        inbox = self._inbox
        while not inbox.messages:
            if inbox.has_ended():
                raise StopAsyncIteration
            await inbox.more()
        try:
            return self._parse(inbox.take())
        except DecodeError as exc:
            raise self._unreadable(exc) from None

    def _unreadable(self, exc: DecodeError) -> Exception:
        """Return the error of a payload that is not a message of this method."""
        raise NotImplementedError
