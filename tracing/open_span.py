# SPDX-License-Identifier: Apache-2.0
"""A span that has not ended, and which of them is the current one."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Final

from kata_tracing import clock, semconv
from kata_tracing.attributes import MAX_ATTRIBUTES, bound

if TYPE_CHECKING:
    from kata_tracing.attributes import Attribute
    from kata_tracing.span_data import SpanData
    from kata_tracing.trace_context import TraceContext

current_span: Final[ContextVar[OpenSpan | None]] = ContextVar(
    "current_span", default=None
)
"""The span of the innermost `with` block, in this task or thread."""


class OpenSpan:
    """The span that `kata_tracing.span.span` returns while tracing is on."""

    __slots__ = ("_data", "_parent", "_put", "_token", "has_ended", "offset", "remote")

    def __init__(
        self,
        data: SpanData,
        put: Callable[[SpanData], None],
        offset: int,
        parent: OpenSpan | None,
        remote: TraceContext | None,
    ) -> None:
        """Begin; `put` takes the data when the span ends, if it is sampled."""
        self.offset = offset
        """Wall clock minus monotonic clock, in nanoseconds (`kata_tracing.clock`)."""
        self.remote = remote
        """The caller's span, above all of ours."""
        self.has_ended = False
        self._data = data
        self._put = put
        self._parent = parent
        self._token: Token[OpenSpan | None] | None = None

    @property
    def context(self) -> TraceContext:
        """The trace context of this span, for its children and links."""
        return self._data.context

    def set_attribute(self, key: str, value: Attribute) -> None:
        if self.has_ended:
            return
        attributes = self._data.attributes
        if len(attributes) < MAX_ATTRIBUTES or key in attributes:
            attributes[key] = bound(value)
        else:
            self._data.dropped_attributes += 1

    def fail(self, error_type: str) -> None:
        """Mark the span as failed."""
        self._data.failed = True
        self.set_attribute(semconv.ERROR_TYPE, error_type)

    def end(self, at: int | None = None) -> None:
        """End the span now, or at a time of `time.monotonic_ns`."""
        if self.has_ended:
            return
        self.has_ended = True
        self._data.end = clock.now(self.offset) if at is None else at + self.offset
        if self._data.context.sampled:
            self._put(self._data)

    def open_ancestor(self) -> OpenSpan | None:
        """Return the nearest span around this one that has not ended."""
        ancestor = self._parent
        while ancestor is not None and ancestor.has_ended:
            ancestor = ancestor._parent
        return ancestor

    def __enter__(self) -> OpenSpan:
        self._token = current_span.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._token is not None:
            try:
                current_span.reset(self._token)
            except ValueError:
                # The block was left in another context than the one in which it was
                # entered, as when another task closes an async generator. The span
                # never was the current one there.
                self._token = None
        if error is not None:
            self.fail(error_type(error))
            if isinstance(error, OSError) and error.errno is not None:
                name = errno.errorcode.get(error.errno, str(error.errno))
                self.set_attribute(semconv.ERRNO, name)
        self.end()


def error_type(error: BaseException) -> str:
    """Return the `error.type` of an exception: its class, never its message."""
    cls = type(error)
    if cls.__module__ == "builtins":
        return cls.__qualname__
    return f"{cls.__module__}.{cls.__qualname__}"
