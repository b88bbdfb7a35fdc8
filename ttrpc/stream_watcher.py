# SPDX-License-Identifier: Apache-2.0
"""Lets an interceptor see the messages and the end of a stream.

async def logged(stream, context, proceed):      # on a server
    if context.method.cardinality is not Cardinality.UNARY_UNARY:
        stream.watch(Log(context))
    return await proceed(stream, context)

async def logged(request, context, proceed):     # on a client
    result = await proceed(request, context)
    if context.method.cardinality is not Cardinality.UNARY_UNARY:
        result.watch(Log(context))
    return result
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

from ttrpc.errors import EXITS

log = logging.getLogger(__name__)

T = TypeVar("T")


class Ending(Protocol):
    """A stream's inbox, which tells the watchers."""

    def end(self, error: Exception | None = None) -> None: ...


class StreamWatcher(Protocol):
    """Is told of one stream; its methods must not block."""

    def message_sent(self, message: Any) -> None:
        """A message was sent. An error of this method is raised by `send`."""

    def message_received(self, message: Any) -> None:
        """The reader takes a message. An error of this method is raised by `recv`."""

    def stream_ended(self, error: BaseException | None) -> None:
        """The stream has ended, with the error that its reader sees, if any.

        Called once. On a client that is when the end arrives; the reader may take the
        last messages after that. On a server the error is the one that ended the
        handler, or the cause for which the handler was cancelled. An error of this
        method is logged.
        """


def watched(parse: Callable[[Any], T], watcher: StreamWatcher) -> Callable[[Any], T]:
    """Return `parse` with a watcher that sees each message."""

    def parse_and_tell(payload: Any) -> T:
        message = parse(payload)
        watcher.message_received(message)
        return message

    return parse_and_tell


def tell_end(watchers: Iterable[StreamWatcher], error: BaseException | None) -> None:
    """Tell the watchers of a stream that it has ended.

    KeyboardInterrupt and SystemExit are raised, once all have been told.
    """
    ends: BaseException | None = None
    for watcher in watchers:
        try:
            watcher.stream_ended(error)
        except EXITS as exc:
            ends = exc
        except BaseException:
            log.exception("watcher of a stream failed")
    if ends is not None:
        raise ends


def end_all(inboxes: Iterable[Ending], error: Exception) -> None:
    """End the inboxes of all streams, because the connection has ended.

    KeyboardInterrupt and SystemExit of watchers are raised once all have ended.
    """
    ends: BaseException | None = None
    for inbox in inboxes:
        try:
            inbox.end(error)
        except EXITS as exc:
            ends = exc
    if ends is not None:
        raise ends
