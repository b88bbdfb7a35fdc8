# SPDX-License-Identifier: Apache-2.0
"""Spans for the code that does the work, free when tracing is off.

    with span("cgroup.freeze", {semconv.CONTAINER_ID: cid}, subsystem="container"):
        ...

While tracing is off, which is nearly always, `span` is one branch that returns
one shared object: nothing is allocated but the arguments, and OpenTelemetry is
not even imported. `kata_tracing.setup` puts a tracer in and takes it out.

Names are `noun.verb`, attribute keys those of `kata_tracing.semconv`; both are
listed in TRACING.md, and a test compares. Attributes are ids, sizes, counts and
names of kernel objects: never arguments, environments or payloads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Final, Protocol, TypeAlias

Attribute: TypeAlias = str | bool | int | float | Sequence[str] | Sequence[int]


class Span(Protocol):
    """One timed step; it ends when its `with` block does.

    An exception that leaves the block marks the span as failed (`error.type`,
    and `errno` for an `OSError`) and goes on. Its message stays out.
    """

    def set_attribute(self, key: str, value: Attribute) -> None:
        """Add an attribute that was not known at the start."""

    def event(self, name: str, **attributes: Attribute) -> None:
        """Mark a moment inside the span."""

    def __enter__(self) -> Span: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class Tracer(Protocol):
    """What makes spans while tracing is on: `kata_tracing.tracer.Tracer`."""

    def span(
        self, name: str, subsystem: str, attributes: dict[str, Attribute]
    ) -> Span: ...

    def add_span(
        self,
        name: str,
        subsystem: str,
        attributes: dict[str, Attribute],
        *,
        start: int,
        end: int | None,
    ) -> None: ...


class _NoSpan:
    """The span of everything while tracing is off."""

    __slots__ = ()

    def set_attribute(self, key: str, value: Attribute) -> None:
        return None

    def event(self, name: str, **attributes: Attribute) -> None:
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


def span(
    name: str,
    attributes: Mapping[str, Attribute] | None = None,
    *,
    subsystem: str,
) -> Span:
    """Return a span to be used in a `with` statement, a no-op when tracing is off.

    It is a child of the span around it, in the same task or thread.
    """
    if _tracer is None:
        return NO_SPAN
    return _tracer.span(name, subsystem, dict(attributes or {}))


def add_span(
    name: str,
    attributes: Mapping[str, Attribute] | None = None,
    *,
    subsystem: str,
    start: int,
    end: int | None = None,
) -> None:
    """Make the span of a step that is over; nothing when tracing is off.

    For what may take as long as the VM lives, or began before tracing did. `start`
    and `end` are of `time.monotonic_ns`; None is now.
    """
    if _tracer is not None:
        _tracer.add_span(name, subsystem, dict(attributes or {}), start=start, end=end)


def use_tracer(tracer: Tracer | None) -> None:
    """Send the spans that begin from now on to `tracer`; None switches them off.

    A span that is open ends where it began.
    """
    global _tracer
    _tracer = tracer


def tracing_is_on() -> bool:
    """Tell whether spans go anywhere."""
    return _tracer is not None
