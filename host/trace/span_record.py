# SPDX-License-Identifier: Apache-2.0
"""A span as the host side sees it: read from OTLP, to be shown.

Whoever sent it may be a hostile guest, so nothing in it is believed: text is
bounded and made printable where it is shown, times may be nonsense, and parents
may be missing or go round in circles.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from kata_tracing import semconv
from kata_tracing.kind import Kind, Status

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTraceServiceRequest,
    )

Value: TypeAlias = "str | bool | int | float | bytes | list[Value] | dict[str, Value]"
E = TypeVar("E", bound=enum.IntEnum)
MAX_DEPTH: Final = 8
"""Of values within values."""


@dataclass(frozen=True, slots=True)
class Event:
    name: str
    time: int
    attributes: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpanRecord:
    """One finished span. Ids are lower-case hex, times nanoseconds since the epoch."""

    trace_id: str
    span_id: str
    parent_id: str
    """"" for the root of a trace."""
    name: str
    start: int
    end: int
    kind: Kind = Kind.INTERNAL
    status: Status = Status.UNSET
    attributes: Mapping[str, Value] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    """Trace and span ids."""
    service: str = ""
    """`service.name` of the process that made it."""

    @property
    def duration(self) -> int:
        """Nanoseconds, never negative."""
        return max(0, self.end - self.start)


def from_otlp(request: ExportTraceServiceRequest) -> Iterator[SpanRecord]:
    """Read the spans of a batch."""
    for resource_spans in request.resource_spans:
        service = _attributes(resource_spans.resource.attributes).get(
            semconv.SERVICE_NAME
        )
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield SpanRecord(
                    trace_id=span.trace_id.hex(),
                    span_id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    name=span.name,
                    start=span.start_time_unix_nano,
                    end=span.end_time_unix_nano,
                    kind=_member(Kind, span.kind),
                    status=_member(Status, span.status.code),
                    attributes=_attributes(span.attributes),
                    events=tuple(
                        Event(e.name, e.time_unix_nano, _attributes(e.attributes))
                        for e in span.events
                    ),
                    links=tuple(
                        (link.trace_id.hex(), link.span_id.hex()) for link in span.links
                    ),
                    service=service if isinstance(service, str) else "",
                )


def _attributes(pairs: Iterable[Any]) -> dict[str, Value]:
    return {pair.key: _value(pair.value, 0) for pair in pairs}


def _value(value: Any, depth: int) -> Value:
    kind = value.WhichOneof("value")
    if kind is None or depth > MAX_DEPTH:
        return ""
    if kind == "array_value":
        return [_value(item, depth + 1) for item in value.array_value.values]
    if kind == "kvlist_value":
        pairs = value.kvlist_value.values
        return {pair.key: _value(pair.value, depth + 1) for pair in pairs}
    found: Value = getattr(value, kind)
    return found


def _member(cls: type[E], number: int) -> E:
    try:
        return cls(number)
    except ValueError:
        return cls(0)
