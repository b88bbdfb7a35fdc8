# SPDX-License-Identifier: Apache-2.0
"""The caller's trace context, read from the metadata of a call.

Two forms are read, because two generations of runtimes write them:

    traceparent: 00-<32 hex: trace id>-<16 hex: span id>-<2 hex: flags>   W3C
    tracestate:  vendor=value,...                                         W3C
    uber-trace-id: <trace id>:<span id>:<parent>:<flags>                  Kata 1.x

A valid `traceparent` wins over `uber-trace-id`. A malformed header is ignored, because
no header may fail a call. Nothing of OpenTelemetry is imported here, so that a client
can take part in a trace without it.

Sources: W3C Trace Context level 2; Jaeger, "Client Libraries", Propagation Format.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from kata_tracing.trace_context import SAMPLED, TRACEPARENT, TRACESTATE, TraceContext

UBER_TRACE_ID: Final = "uber-trace-id"

MAX_VALUE: Final = 512
"""Characters of a header; a longer one is ignored. W3C 3.3.1.5 asks for 512 of a
tracestate."""
MAX_MEMBERS: Final = 32
"""List members of a tracestate, W3C 3.3.1.1."""

ValuesOf: TypeAlias = Callable[[str], Sequence[str]]
"""Return all values of a lower-case key, in order, as `Metadata.get_all` does."""

_TRACEPARENT = re.compile(
    r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII
)
_UBER = re.compile(
    r"([0-9a-f]{1,32}):([0-9a-f]{1,16}):[0-9a-f]{0,16}:([0-9a-f]{1,2})",
    re.ASCII | re.IGNORECASE,
)
_MEMBER = re.compile(
    r"[a-z0-9][a-z0-9_\-*/@]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}"
    r"[\x21-\x2b\x2d-\x3c\x3e-\x7e]",
    re.ASCII,
)


def extract(values_of: ValuesOf) -> TraceContext | None:
    """Return the context of the caller's span, None if there is no valid one."""
    if traceparent := _first(values_of(TRACEPARENT)):
        context = parse_traceparent(traceparent)
        if context is not None:
            tracestate = parse_tracestate(values_of(TRACESTATE))
            return TraceContext(
                context.trace_id, context.span_id, context.sampled, tracestate
            )
    if uber := _first(values_of(UBER_TRACE_ID)):
        return parse_uber_trace_id(uber)
    return None


def parse_traceparent(value: str) -> TraceContext | None:
    """Parse a `traceparent`; None unless W3C 3.2.2 and 3.2.3 allow it."""
    match = _TRACEPARENT.fullmatch(value)
    if match is None:
        return None
    version, trace_id, span_id, flags, more = match.groups()
    if version == "ff" or (version == "00" and more is not None):
        return None
    return _context(trace_id, span_id, flags)


def parse_tracestate(values: Sequence[str]) -> str:
    """Return the `tracestate` to pass on, "" if any part of it is malformed.

    Several values are one list, as with HTTP headers.
    """
    if sum(len(value) + 1 for value in values) > MAX_VALUE + 1:
        return ""
    members = [
        stripped
        for value in values
        for member in value.split(",")
        if (stripped := member.strip(" \t"))
    ]
    keys = {member.partition("=")[0] for member in members}
    if len(members) > MAX_MEMBERS or len(keys) < len(members):
        return ""
    if not all(_MEMBER.fullmatch(member) for member in members):
        return ""
    return ",".join(members)


def parse_uber_trace_id(value: str) -> TraceContext | None:
    """Parse Jaeger's header, whose colons some clients write as `%3A`."""
    match = _UBER.fullmatch(value.replace("%3A", ":").replace("%3a", ":"))
    return None if match is None else _context(*match.groups())


def _context(trace_id: str, span_id: str, flags: str) -> TraceContext | None:
    trace, span = int(trace_id, 16), int(span_id, 16)
    if not trace or not span:
        return None
    return TraceContext(trace, span, bool(int(flags, 16) & SAMPLED))


def _first(values: Sequence[str]) -> str | None:
    if not values or len(values[0]) > MAX_VALUE:
        return None
    return values[0].strip(" \t")
