# SPDX-License-Identifier: Apache-2.0
"""Makes spans while tracing is on: ids, parents, time stamps, the current span.

Runs where calls are served, so it makes plain data and hands it on; all that takes
time is the sender thread's (`kata_tracing.port`), OpenTelemetry's spans too
(`kata_tracing.sdk`).
"""

from __future__ import annotations

import errno
from contextvars import ContextVar, Token
from types import TracebackType

from kata_tracing import clock, semconv
from kata_tracing.data import (
    MAX_ATTRIBUTES,
    MAX_EVENTS,
    Event,
    SpanData,
    clean,
    clean_value,
)
from kata_tracing.kind import Kind
from kata_tracing.port import TracePort
from kata_tracing.propagation import TraceContext
from kata_tracing.span import Attribute

_current: ContextVar[OpenSpan | None] = ContextVar("current_span", default=None)


class Tracer:
    """Makes spans until it is closed; what `kata_tracing.span` switches to."""

    def __init__(self, port: TracePort, *, sandbox_id: str = "") -> None:
        self.sandbox_id = sandbox_id
        """On every span, once known: a trace port's resource cannot change."""
        self.boot: TraceContext | None = None
        """What the root spans of an isolated trace link to."""
        self._port = port

    def span(
        self, name: str, subsystem: str, attributes: dict[str, Attribute]
    ) -> OpenSpan:
        """Begin a step inside the agent, a child of the current span."""
        return self._step(name, subsystem, attributes, None)

    def add_span(
        self,
        name: str,
        subsystem: str,
        attributes: dict[str, Attribute],
        *,
        start: int,
        end: int | None,
    ) -> None:
        """Make a step that is over (`kata_tracing.span.add_span`)."""
        self._step(name, subsystem, attributes, start).end(end)

    def _step(
        self,
        name: str,
        subsystem: str,
        attributes: dict[str, Attribute],
        start: int | None,
    ) -> OpenSpan:
        attributes[semconv.SUBSYSTEM] = subsystem
        parent = _current.get()
        if parent is None or not parent.has_ended:
            return self._begin(name, attributes, parent, start=start)
        # A task that outlived the call which started it: its steps belong to the
        # caller's trace, if there is one, but not inside a span that is over.
        return self._begin(
            name,
            attributes,
            parent.open_ancestor(),
            remote=parent.remote,
            links=(parent.context,),
            start=start,
        )

    def call(
        self,
        name: str,
        attributes: dict[str, Attribute],
        caller: TraceContext | None,
        *,
        start: int | None = None,
    ) -> OpenSpan:
        """Begin the span of an RPC: the caller's child, or the root of a trace.

        `start` is on the monotonic clock, in nanoseconds; now by default.
        """
        return self._begin(
            name,
            attributes,
            None,
            kind=Kind.SERVER,
            remote=caller,
            links=(self.boot,) if caller is None and self.boot is not None else (),
            start=start,
        )

    def begin_boot(self, name: str, start: int) -> OpenSpan:
        """Begin the span of the agent's own start."""
        attributes: dict[str, Attribute] = {
            semconv.SUBSYSTEM: semconv.AGENT,
            semconv.SOURCE: semconv.AGENT,
        }
        span = self._begin(name, attributes, None, start=start)
        self.boot = span.context
        return span

    def _begin(
        self,
        name: str,
        attributes: dict[str, Attribute],
        parent: OpenSpan | None,
        *,
        kind: Kind = Kind.INTERNAL,
        remote: TraceContext | None = None,
        links: tuple[TraceContext, ...] = (),
        start: int | None = None,
    ) -> OpenSpan:
        around: TraceContext | None
        if parent is not None:
            offset, around, remote = parent.offset, parent.context, parent.remote
        else:
            offset, around = clock.wall_offset(), remote
        if self.sandbox_id:
            attributes[semconv.SANDBOX_ID] = self.sandbox_id
        data = SpanData(
            name,
            TraceContext.new() if around is None else around.child(),
            clock.now(offset) if start is None else start + offset,
            kind=kind,
            parent_id=0 if around is None else around.span_id,
            has_remote_parent=parent is None and remote is not None,
            attributes=clean(attributes),
            links=links,
        )
        return OpenSpan(data, self._port, offset, parent, remote)


class OpenSpan:
    """A span that records; `kata_tracing.span.Span` while tracing is on."""

    __slots__ = ("_data", "_parent", "_port", "_token", "has_ended", "offset", "remote")

    def __init__(
        self,
        data: SpanData,
        port: TracePort,
        offset: int,
        parent: OpenSpan | None,
        remote: TraceContext | None,
    ) -> None:
        self.offset = offset
        """Wall clock minus monotonic clock, for both ends (`kata_tracing.clock`)."""
        self.remote = remote
        """The caller's span, above all of ours."""
        self.has_ended = False
        self._data = data
        self._port = port
        self._parent = parent
        self._token: Token[OpenSpan | None] | None = None

    @property
    def context(self) -> TraceContext:
        return self._data.context

    def set_attribute(self, key: str, value: Attribute) -> None:
        attributes = self._data.attributes
        if self.has_ended:
            return
        if len(attributes) < MAX_ATTRIBUTES or key in attributes:
            attributes[key] = clean_value(value)
        else:
            self._data.dropped_attributes += 1

    def event(self, name: str, **attributes: Attribute) -> None:
        if self.has_ended:
            return
        if len(self._data.events) < MAX_EVENTS:
            now = clock.now(self.offset)
            self._data.events.append(Event(name, now, clean(attributes)))
        else:
            self._data.dropped_events += 1

    def fail(self, error_type: str) -> None:
        """Mark the span as failed."""
        self._data.failed = True
        self.set_attribute(semconv.ERROR_TYPE, error_type)

    def end(self, at: int | None = None) -> None:
        """End it, now or `at` a time of the monotonic clock, in nanoseconds."""
        if self.has_ended:
            return
        self.has_ended = True
        self._data.end = clock.now(self.offset) if at is None else at + self.offset
        if self._data.context.sampled:
            self._port.put(self._data)

    def open_ancestor(self) -> OpenSpan | None:
        """Return the nearest span around this one that has not ended."""
        found = self._parent
        while found is not None and found.has_ended:
            found = found._parent
        return found

    def __enter__(self) -> OpenSpan:
        self._token = _current.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._token is not None:
            try:
                _current.reset(self._token)
            except ValueError:
                # Left in another context than it was entered in: an async
                # generator closed by somebody else. There it was not current.
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
