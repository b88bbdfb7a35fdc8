# SPDX-License-Identifier: Apache-2.0
"""A span as it is made: plain data, until the sender thread sends it.

The fields are those of OTLP's trace.proto. Beginning and ending the SDK's own span
takes 15 us, 30 to 40 when the caches are cold, where the calls are served; this takes
5, and `kata_tracing.sdk` makes the SDK's span of it where nobody waits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from kata_tracing.kind import Kind
from kata_tracing.propagation import TraceContext
from kata_tracing.span import Attribute

MAX_ATTRIBUTES: Final = 32
MAX_EVENTS: Final = 32
MAX_TEXT: Final = 1024
"""Characters of a value. So that no span, whatever a caller put into its ids,
outgrows a batch or the queue's memory."""


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
