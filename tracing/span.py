# SPDX-License-Identifier: Apache-2.0
"""Spans for the code that does the work, free when tracing is off.

    with span("cgroup.freeze", {semconv.CONTAINER_ID: cid}, subsystem="container"):
        ...

While tracing is off, which is nearly always, `span` is one branch that returns one
shared object: nothing is allocated but the arguments, and OpenTelemetry is not even
imported. `kata_tracing.tracing` sets the tracer and removes it again.

`kata_tracing.semconv` has the rule for names and all attribute keys; TRACING.md lists
both, and a test compares. Attributes are ids, sizes, counts and names of kernel
objects, never arguments, environments or payloads.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from kata_tracing.attributes import Attribute, Attributes
    from kata_tracing.tracer import Tracer


class Span(Protocol):
    """One timed step, which ends when its `with` block does.

    An exception that leaves the block marks the span as failed (`error.type`, and
    `agent.errno` for an `OSError`) and is raised on. The exception's message is not
    sent.
    """

    def set_attribute(self, key: str, value: Attribute) -> None:
        """Add an attribute that was not known at the start."""

    def __enter__(self) -> Span: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class _NoSpan:
    """The span of every step while tracing is off."""

    __slots__ = ()

    def set_attribute(self, key: str, value: Attribute) -> None:
        return None

    def __enter__(self) -> Span:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None


NO_SPAN: Final[Span] = _NoSpan()
_tracer: Tracer | None = None


def span(name: str, attributes: Attributes | None = None, *, subsystem: str) -> Span:
    """Return a span for a `with` statement; it does nothing when tracing is off.

    The span is a child of the span around it, in the same task or thread.
    """
    if _tracer is None:
        return NO_SPAN
    return _tracer.span(name, subsystem, attributes)


def add_span(
    name: str,
    attributes: Attributes | None = None,
    *,
    subsystem: str,
    start: int,
    end: int | None = None,
) -> None:
    """Add the span of a step that is over; do nothing when tracing is off.

    For a step that may take as long as the VM lives, or that began before tracing
    did. `start` and `end` are nanoseconds of `time.monotonic_ns`; None is now.
    """
    if _tracer is not None:
        _tracer.add_span(name, subsystem, attributes, start=start, end=end)


def use_tracer(tracer: Tracer | None) -> None:
    """Send the spans that begin from now on to `tracer`; None switches tracing off.

    A span that is open stays with the tracer that began it.
    """
    global _tracer
    _tracer = tracer
