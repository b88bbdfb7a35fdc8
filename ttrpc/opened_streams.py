# SPDX-License-Identifier: Apache-2.0
"""Closes what a client's interceptors have opened, when they fail after that.

`proceed` returns the stream to the interceptor alone: if it raises then, or is
cancelled, nobody else could close the stream.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, Protocol


class Closing(Protocol):
    """A stream of either client."""

    def close(self) -> None: ...


_OPENED: Final[ContextVar[list[Closing] | None]] = ContextVar("opened", default=None)
"""The streams of the opening that is under way, also in tasks of its interceptors."""


@contextmanager
def closed_on_error() -> Iterator[None]:
    """If the block raises, close the streams that `opened` was told of in it."""
    before = _OPENED.get()
    streams: list[Closing] = []
    _OPENED.set(streams)
    try:
        yield
    except BaseException:
        for stream in streams:
            stream.close()
        raise
    finally:
        # Not by a token: a coroutine that is dropped ends in another context.
        _OPENED.set(before)


def opened(stream: Closing) -> None:
    """Tell of a stream that was opened, in `closed_on_error` or outside."""
    streams = _OPENED.get()
    if streams is not None:
        streams.append(stream)
