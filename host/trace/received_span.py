# SPDX-License-Identifier: Apache-2.0
"""A span as the host receives it, read from OTLP.

The sender may be a hostile guest, so nothing in a span is believed: text is bounded
and made printable where it is shown, times may be nonsense, and parents may be missing
or form a circle.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from kata_tracing import semconv
from kata_tracing.span_kind import SpanKind

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTraceServiceRequest,
    )

Value: TypeAlias = "str | bool | int | float | bytes | list[Value] | dict[str, Value]"
E = TypeVar("E", bound=enum.IntEnum)
MAX_SPANS: Final = 100_000
"""Spans that a program of the host keeps at once."""
MAX_DEPTH: Final = 8
"""Levels of values within values; deeper ones are read as ""."""


class SpanStatus(enum.IntEnum):
    """`Status.StatusCode` of opentelemetry-proto's trace.proto."""

    UNSET = 0
    OK = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class SpanEvent:
    """A moment inside a span. This agent records no such events; other senders do."""

    name: str
    time: int
    attributes: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReceivedSpan:
    """One ended span. Ids are lower-case hex, times nanoseconds since the epoch."""

    trace_id: str
    span_id: str
    parent_id: str
    """"" for the root of a trace."""
    name: str
    start: int
    end: int
    kind: SpanKind = SpanKind.INTERNAL
    status: SpanStatus = SpanStatus.UNSET
    attributes: Mapping[str, Value] = field(default_factory=dict)
    events: tuple[SpanEvent, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    """Pairs of trace id and span id."""
    service: str = ""
    """`service.name` of the process that made it."""

    @property
    def duration(self) -> int:
        """Nanoseconds, never negative."""
        return max(0, self.end - self.start)


def from_otlp(request: ExportTraceServiceRequest) -> Iterator[ReceivedSpan]:
    """Yield the spans of a batch, in its order."""
    for resource_spans in request.resource_spans:
        resource = _attributes(resource_spans.resource.attributes)
        service = resource.get(semconv.SERVICE_NAME)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield ReceivedSpan(
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    name=span.name,
                    start=span.start_time_unix_nano,
                    end=span.end_time_unix_nano,
                    kind=member(SpanKind, span.kind),
                    status=member(SpanStatus, span.status.code),
                    attributes=_attributes(span.attributes),
                    events=tuple(
                        SpanEvent(
                            it.name, it.time_unix_nano, _attributes(it.attributes)
                        )
                        for it in span.events
                    ),
                    links=tuple(
                        (link.trace_id.hex(), link.span_id.hex()) for link in span.links
                    ),
                    service=service if isinstance(service, str) else "",
                )


def _attributes(pairs: Iterable[Any]) -> dict[str, Value]:
    return {pair.key: _value(pair.value, 0) for pair in pairs}


def _value(value: Any, depth: int) -> Value:
    field_name = value.WhichOneof("value")
    if field_name is None or depth > MAX_DEPTH:
        return ""
    if field_name == "array_value":
        return [_value(item, depth + 1) for item in value.array_value.values]
    if field_name == "kvlist_value":
        pairs = value.kvlist_value.values
        return {pair.key: _value(pair.value, depth + 1) for pair in pairs}
    plain: Value = getattr(value, field_name)
    return plain


def member(cls: type[E], number: int) -> E:
    """Return the member with `number`, or the one with 0 if there is none."""
    try:
        return cls(number)
    except ValueError:
        return cls(0)
