# SPDX-License-Identifier: Apache-2.0
"""Makes spans while tracing is on: ids, parents and time stamps.

The tracer runs where calls are served, so it makes plain data only. The slow work, such
as making OpenTelemetry's spans, is the sender thread's (`kata_tracing.trace_port`).
"""

from __future__ import annotations

from collections.abc import Callable

from kata_tracing import clock, semconv
from kata_tracing.attributes import Attribute, Attributes, bound_all
from kata_tracing.open_span import OpenSpan, current_span
from kata_tracing.span_data import SpanData
from kata_tracing.span_kind import SpanKind
from kata_tracing.trace_context import TraceContext


class Tracer:
    """Makes spans, and hands each to `put` when it ends."""

    def __init__(
        self, put: Callable[[SpanData], None], *, sandbox_id: str = ""
    ) -> None:
        self.sandbox_id = sandbox_id
        """An attribute of every span once it is known, because the resource, which
        would hold it, is fixed when tracing goes on."""
        self.boot: TraceContext | None = None
        """The boot's span, to which calls that are roots of a trace link."""
        self._put = put

    def span(
        self, name: str, subsystem: str, attributes: Attributes | None = None
    ) -> OpenSpan:
        """Begin a step inside the agent, a child of the current span."""
        return self._step(name, subsystem, attributes, None)

    def add_span(
        self,
        name: str,
        subsystem: str,
        attributes: Attributes | None = None,
        *,
        start: int,
        end: int | None,
    ) -> None:
        """Make the span of a step that is over (`kata_tracing.span.add_span`)."""
        self._step(name, subsystem, attributes, start).end(end)

    def begin_call(
        self,
        name: str,
        attributes: dict[str, Attribute],
        caller: TraceContext | None,
        *,
        start: int | None = None,
    ) -> OpenSpan:
        """Begin the span of a call: the caller's child, or the root of a trace.

        The span keeps `attributes` itself. `start` is a time of `time.monotonic_ns`;
        None is now.
        """
        return self._begin(
            name,
            attributes,
            None,
            kind=SpanKind.SERVER,
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

    def _step(
        self,
        name: str,
        subsystem: str,
        attributes: Attributes | None,
        start: int | None,
    ) -> OpenSpan:
        own = {} if attributes is None else dict(attributes)
        own[semconv.SUBSYSTEM] = subsystem
        parent = current_span.get()
        if parent is None or not parent.has_ended:
            return self._begin(name, own, parent, start=start)
        # A task that outlived the call which started it: its steps belong to the
        # caller's trace, if there is one, but not inside a span that is over.
        return self._begin(
            name,
            own,
            parent.open_ancestor(),
            remote=parent.remote,
            links=(parent.context,),
            start=start,
        )

    def _begin(
        self,
        name: str,
        attributes: dict[str, Attribute],
        parent: OpenSpan | None,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        remote: TraceContext | None = None,
        links: tuple[TraceContext, ...] = (),
        start: int | None = None,
    ) -> OpenSpan:
        above: TraceContext | None
        if parent is not None:
            offset, above, remote = parent.offset, parent.context, parent.remote
        else:
            offset, above = clock.wall_offset(), remote
        if self.sandbox_id:
            attributes[semconv.SANDBOX_ID] = self.sandbox_id
        data = SpanData(
            name,
            TraceContext.new() if above is None else above.child(),
            clock.now(offset) if start is None else start + offset,
            kind=kind,
            parent_id=0 if above is None else above.span_id,
            has_remote_parent=parent is None and remote is not None,
            attributes=bound_all(attributes),
            links=links,
        )
        return OpenSpan(data, self._put, offset, parent, remote)
