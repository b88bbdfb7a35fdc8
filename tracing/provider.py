# SPDX-License-Identifier: Apache-2.0
"""Spans made with OpenTelemetry. Imported when tracing goes on, never before.

The SDK makes, limits and samples the spans. Ours are the ids (from the kernel),
the time stamps (`tracing.clock`), the current span, and the port they leave by.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import (
    ReadableSpan,
    SpanLimits,
    SpanProcessor,
    TracerProvider,
)
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan

from tracing import clock, semconv
from tracing.port import TracePort
from tracing.propagation import TraceContext, random_id
from tracing.span import Attribute

SCOPE: Final = "kata-agent"
"""The instrumentation scope's name."""
LIMITS: Final = SpanLimits(
    max_span_attributes=32,
    max_attribute_length=1024,
    max_events=32,
    max_links=4,
    max_event_attributes=8,
)
"""So that no span, whatever a caller put into its ids, outgrows a batch."""

_current: ContextVar[OpenSpan | None] = ContextVar("current_span", default=None)


class Tracer:
    """Makes spans until it is closed; what `tracing.span` switches to."""

    def __init__(
        self,
        port: TracePort,
        resource: Mapping[str, str | int],
        *,
        sandbox_id: str = "",
    ) -> None:
        provider = TracerProvider(
            sampler=ParentBased(ALWAYS_ON),
            resource=Resource(dict(resource)),
            shutdown_on_exit=False,
            id_generator=KernelIds(),
            span_limits=LIMITS,
        )
        provider.add_span_processor(_ToPort(port))
        version = str(resource.get(semconv.SERVICE_VERSION, ""))
        self._tracer = provider.get_tracer(SCOPE, version)
        self.sandbox_id = sandbox_id
        """On every span, once known: a provider's resource cannot change."""
        self.boot: SpanContext | None = None
        """What the root spans of an isolated trace link to."""

    def span(
        self, name: str, subsystem: str, attributes: dict[str, Attribute]
    ) -> OpenSpan:
        """Begin a step inside the agent, a child of the current span."""
        return self._step(name, subsystem, attributes, None)

    def record(
        self,
        name: str,
        subsystem: str,
        attributes: dict[str, Attribute],
        *,
        start: int,
        end: int | None,
    ) -> None:
        """Make a step that is over (`tracing.span.record`)."""
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
            links=[parent.context],
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
        links = [self.boot] if caller is None and self.boot is not None else []
        return self._begin(
            name,
            attributes,
            None,
            kind=SpanKind.SERVER,
            remote=caller,
            links=links,
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
        kind: SpanKind = SpanKind.INTERNAL,
        remote: TraceContext | None = None,
        links: list[SpanContext] | None = None,
        start: int | None = None,
    ) -> OpenSpan:
        if parent is not None:
            offset, around = parent.offset, set_span_in_context(parent.span, Context())
            remote = parent.remote
        else:
            offset, around = clock.wall_offset(), _remote_context(remote)
        if self.sandbox_id:
            attributes[semconv.SANDBOX_ID] = self.sandbox_id
        span = self._tracer.start_span(
            name,
            around,
            kind,
            _clean(attributes),
            [Link(context) for context in links or ()],
            start + offset if start is not None else clock.now(offset),
        )
        return OpenSpan(span, offset, parent, remote)


class OpenSpan:
    """A span that records; `tracing.span.Span` while tracing is on."""

    __slots__ = ("_parent", "_token", "has_ended", "offset", "remote", "span")

    def __init__(
        self,
        span: OtelSpan,
        offset: int,
        parent: OpenSpan | None,
        remote: TraceContext | None,
    ) -> None:
        self.span = span
        self.offset = offset
        """Wall clock minus monotonic clock, for both ends (`tracing.clock`)."""
        self.remote = remote
        """The caller's span, above all of ours."""
        self.has_ended = False
        self._parent = parent
        self._token: Token[OpenSpan | None] | None = None

    @property
    def context(self) -> SpanContext:
        return self.span.get_span_context()

    def set(self, key: str, value: Attribute) -> None:
        self.span.set_attribute(key, _clean_value(value))

    def event(self, name: str, **attributes: Attribute) -> None:
        self.span.add_event(name, _clean(attributes), clock.now(self.offset))

    def fail(self, error_type: str) -> None:
        """Mark the span as failed."""
        self.span.set_attribute(semconv.ERROR_TYPE, error_type)
        self.span.set_status(Status(StatusCode.ERROR))

    def end(self, at: int | None = None) -> None:
        """End it, now or `at` a time of the monotonic clock, in nanoseconds."""
        self.has_ended = True
        self.span.end(clock.now(self.offset) if at is None else at + self.offset)

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
                self.set(semconv.ERRNO, name)
        self.end()


class KernelIds(IdGenerator):
    """Ids from the kernel's random source.

    Module `random`, the SDK's choice, is seeded once: the clones of a VM snapshot
    would all give the same ids.
    """

    def generate_span_id(self) -> int:
        return random_id(8)

    def generate_trace_id(self) -> int:
        return random_id(16)


class _ToPort(SpanProcessor):
    def __init__(self, port: TracePort) -> None:
        self._port = port

    def on_end(self, span: ReadableSpan) -> None:
        # Unsampled spans never come here: the SDK does not record them at all.
        self._port.put(span)


def error_type(error: BaseException) -> str:
    """Return the `error.type` of an exception: its class, never its message."""
    cls = type(error)
    if cls.__module__ == "builtins":
        return cls.__qualname__
    return f"{cls.__module__}.{cls.__qualname__}"


def _remote_context(remote: TraceContext | None) -> Context:
    if remote is None:
        return Context()
    context = SpanContext(
        remote.trace_id,
        remote.span_id,
        is_remote=True,
        trace_flags=TraceFlags(TraceFlags.SAMPLED if remote.sampled else 0),
        trace_state=TraceState.from_header([remote.tracestate]),
    )
    return set_span_in_context(NonRecordingSpan(context), Context())


def _clean(attributes: dict[str, Attribute]) -> dict[str, Attribute]:
    for key, value in attributes.items():
        if isinstance(value, str) and not value.isascii():
            attributes[key] = _clean_value(value)
    return attributes


def _clean_value(value: Attribute) -> Attribute:
    # A file name that is not UTF-8 holds surrogates, which protobuf refuses.
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "replace").decode("utf-8")
    return value
