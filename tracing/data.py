# SPDX-License-Identifier: Apache-2.0
"""A span as it is made: plain data, until the sender thread encodes it.

The fields are those of OTLP's trace.proto. OpenTelemetry's SDK would make its own
objects of them, where the calls are served: 30 to 70 us a span, and 100 ms and 6 MiB
for its imports. These take 5 us and nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tracing.propagation import TraceContext
from tracing.record import Kind
from tracing.span import Attribute

SCOPE: Final = "kata-agent"
"""The instrumentation scope's name."""
MAX_ATTRIBUTES: Final = 32
MAX_EVENTS: Final = 32
MAX_TEXT: Final = 1024
"""Characters of a value. So that no span, whatever a caller put into its ids,
outgrows a batch or the queue's memory."""


@dataclass(frozen=True, slots=True)
class Resource:
    """Whose spans they are."""

    attributes: Mapping[str, str | int]
    version: str = ""
    """Of the agent, which is the instrumentation scope's too."""


@dataclass(slots=True)
class Event:
    """A moment inside a span."""

    name: str
    time: int
    attributes: dict[str, Attribute]


@dataclass(slots=True)
class SpanData:
    """Times are nanoseconds since the epoch."""

    name: str
    context: TraceContext
    start: int
    end: int = 0
    kind: Kind = Kind.INTERNAL
    parent_id: int = 0
    """0 for the root of a trace."""
    has_remote_parent: bool = False
    failed: bool = False
    attributes: dict[str, Attribute] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    links: tuple[TraceContext, ...] = ()
    dropped_attributes: int = 0
    dropped_events: int = 0


def clean(attributes: dict[str, Attribute]) -> dict[str, Attribute]:
    """Make values fit to encode, in place: short, and UTF-8."""
    for key, value in attributes.items():
        if type(value) is str and (len(value) > MAX_TEXT or not value.isascii()):
            attributes[key] = clean_value(value)
    return attributes


def clean_value(value: Attribute) -> Attribute:
    """Return a value that fits."""
    if isinstance(value, str):
        # A file name that is not UTF-8 holds surrogates, which protobuf refuses.
        return value[:MAX_TEXT].encode("utf-8", "replace").decode("utf-8")
    return value
