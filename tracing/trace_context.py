# SPDX-License-Identifier: Apache-2.0
"""The trace context of a span: the facts that its children must know.

Sources: W3C Trace Context level 2, 3.2 and 3.3.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Final

TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
SAMPLED: Final = 0x01
"""The bit of the trace flags that says that the caller records its trace."""


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A span, of this process or of another. Ids are never 0."""

    trace_id: int
    """128 bits."""
    span_id: int
    """64 bits."""
    sampled: bool = True
    tracestate: str = ""

    @classmethod
    def new(cls) -> TraceContext:
        """Begin a trace."""
        return cls(random_id(16), random_id(8))

    def child(self) -> TraceContext:
        """Return the context of a new span in the same trace."""
        return TraceContext(self.trace_id, random_id(8), self.sampled, self.tracestate)

    def to_metadata(self) -> dict[str, str]:
        """Return the W3C headers."""
        flags = SAMPLED if self.sampled else 0
        headers = {
            TRACEPARENT: f"00-{self.trace_id:032x}-{self.span_id:016x}-{flags:02x}"
        }
        if self.tracestate:
            headers[TRACESTATE] = self.tracestate
        return headers


def random_id(size: int) -> int:
    """Return an id of `size` bytes, never 0, from the kernel's random source.

    Module `random` will not do, because clones of one VM snapshot share its state.
    """
    while not (number := int.from_bytes(os.urandom(size))):
        pass
    return number
