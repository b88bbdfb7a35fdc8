# SPDX-License-Identifier: Apache-2.0
"""The spans of OpenTelemetry's SDK, made of what the tracer recorded.

Imported when tracing goes on, never before, and used by the sender thread: a span
takes the SDK 15 us to begin and to end, these take 2, and no call waits for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.sdk.version import __version__
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
)
from opentelemetry.util.types import Attributes

from kata_tracing import semconv
from kata_tracing.data import SpanData
from kata_tracing.kind import Kind
from kata_tracing.propagation import TraceContext

_KINDS: Final = {Kind[kind.name]: kind for kind in SpanKind}
_UNSET: Final = Status(StatusCode.UNSET)
_ERROR: Final = Status(StatusCode.ERROR)
_NO_STATE: Final = TraceState()


class Translator:
    """Makes the SDK's spans, all of one resource and one scope."""

    def __init__(self, attributes: Mapping[str, str | int]) -> None:
        """Take the resource's attributes; the SDK's own ones are added."""
        self._resource = Resource(
            {
                **attributes,
                semconv.TELEMETRY_SDK_NAME: "opentelemetry",
                semconv.TELEMETRY_SDK_LANGUAGE: "python",
                semconv.TELEMETRY_SDK_VERSION: __version__,
            }
        )
        version = str(attributes.get(semconv.SERVICE_VERSION, ""))
        self._scope = InstrumentationScope(semconv.SERVICE, version)

    def span(self, data: SpanData) -> ReadableSpan:
        """Make the SDK's span of one that has ended."""
        context = _context(data.context)
        parent = None
        if data.parent_id:
            parent = SpanContext(
                context.trace_id,
                data.parent_id,
                data.has_remote_parent,
                context.trace_flags,
                context.trace_state,
            )
        return ReadableSpan(
            data.name,
            context,
            parent=parent,
            resource=self._resource,
            attributes=_attributes(data),
            events=_events(data),
            links=[Link(_context(link)) for link in data.links],
            kind=_KINDS[data.kind],
            status=_ERROR if data.failed else _UNSET,
            start_time=data.start,
            end_time=data.end,
            instrumentation_scope=self._scope,
        )


def _context(context: TraceContext) -> SpanContext:
    state = _NO_STATE
    if context.tracestate:
        state = TraceState.from_header([context.tracestate])
    flags = TraceFlags(TraceFlags.SAMPLED if context.sampled else TraceFlags.DEFAULT)
    return SpanContext(context.trace_id, context.span_id, False, flags, state)


def _attributes(data: SpanData) -> Attributes:
    if not data.dropped_attributes:
        return data.attributes
    # Where the SDK keeps the count. It counts what it drops itself: nothing here.
    bounded = BoundedAttributes(attributes=data.attributes)
    bounded.dropped = data.dropped_attributes
    return bounded


def _events(data: SpanData) -> Sequence[Event]:
    events = [Event(it.name, it.attributes, timestamp=it.time) for it in data.events]
    if not data.dropped_events:
        return events
    bounded: BoundedList[Event] = BoundedList.from_seq(len(events), events)
    bounded.dropped = data.dropped_events
    return bounded
