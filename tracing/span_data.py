# SPDX-License-Identifier: Apache-2.0
"""The plain data of a span, from its beginning until the sender thread encodes it.

The fields are those of OTLP's trace.proto. The SDK's own span takes 15 us to begin and
to end, 30 to 40 when the caches are cold, on the loop that serves calls. This class
takes 5, and `kata_tracing.sdk_translator` makes the SDK's of it in the sender thread.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kata_tracing.span_kind import SpanKind

if TYPE_CHECKING:
    from kata_tracing.attributes import Attribute
    from kata_tracing.trace_context import TraceContext


@dataclass(slots=True)
class SpanData:
    """Times are nanoseconds since the epoch."""

    name: str
    context: TraceContext
    start: int
    end: int = 0
    kind: SpanKind = SpanKind.INTERNAL
    parent_id: int = 0
    """0 for the root of a trace."""
    has_remote_parent: bool = False
    failed: bool = False
    attributes: dict[str, Attribute] = field(default_factory=dict)
    links: tuple[TraceContext, ...] = ()
    dropped_attributes: int = 0
    """How many did not fit into `MAX_ATTRIBUTES`."""
