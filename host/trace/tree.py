# SPDX-License-Identifier: Apache-2.0
"""Spans as trees with durations, for a terminal.

grpc.AgentService/CreateContainer container.id=c1   18.0 ms  ━━━━━━━━━━━━━━━━━━━
├─ storage.add storage.driver=virtio-fs             2.10 ms   ━━
└─ process.create                                   14.4 ms      ━━━━━━━━━━━━━━━
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from kata_host.trace.fold import folded
from kata_host.trace.forest import SpanNode, build_trees
from kata_host.trace.hint import HINTS
from kata_host.trace.received_span import ReceivedSpan, SpanStatus
from kata_host.trace.shorten import shorten
from kata_tracing import semconv

BAR_WIDTH: Final = 32
MIN_BAR_WIDTH: Final = 12
OMITTED: Final = frozenset(
    {
        semconv.SUBSYSTEM,
        semconv.SOURCE,
        semconv.RPC_SYSTEM_NAME,
        semconv.RPC_METHOD,
        semconv.SANDBOX_ID,
        semconv.API_CATEGORY,
        semconv.ERROR_TYPE,
    }
)
"""Attributes that a line leaves out, because they repeat its name or other lines."""


@dataclass(frozen=True, slots=True)
class _Line:
    """A span, or several equal ones, in its place in the tree."""

    prefix: str
    parent: ReceivedSpan | None
    spans: Sequence[ReceivedSpan]

    @property
    def name(self) -> str:
        name, count = shorten(self.spans[0].name), len(self.spans)
        return f"{name} (x{count})" if count > 1 else name


def render_tree(spans: Iterable[ReceivedSpan], *, width: int = 100) -> str:
    """Return the spans as trees, `width` columns wide, each line ending in a newline.

    Each root has a time line of its own.
    """
    return "".join(
        line + "\n"
        for root in build_trees(spans)
        for line in _render_root(root, width=width)
    )


def _render_root(root: SpanNode, *, width: int = 100) -> Iterator[str]:
    """Return the lines of one tree."""
    lines = list(_lines(root))
    first = min(span.start for line in lines for span in line.spans)
    last = max(first + 1, max(span.end for line in lines for span in line.spans))
    # A character more than the longest name, for the sign that attributes are cut.
    names = 1 + max(len(line.prefix + line.name) for line in lines)
    # Names come before bars: bars are narrowed, or left out, where both do not fit.
    room = min(max(MIN_BAR_WIDTH, min(BAR_WIDTH, width // 3)), width - names - 14)
    if room < MIN_BAR_WIDTH:
        room = 0
    label_width = max(24, width - room - 14)
    for line in lines:
        label = line.prefix + _label(line)
        if len(label) > label_width:
            label = label[: label_width - 1] + "…"
        begin = min(span.start for span in line.spans)
        bar = _bar(begin, max(span.end for span in line.spans), first, last, room)
        time = format_duration(sum(span.duration for span in line.spans))
        yield f"{label:<{label_width}} {time:>9}  {bar}".rstrip()


def _label(line: _Line) -> str:
    """Return a span's name, outcome and attributes, safe to print.

    Attributes that the parent has too are left out, and those that equal spans may
    have each for itself.
    """
    span, known = line.spans[0], line.parent.attributes if line.parent else {}
    words = [line.name]
    if code := span.attributes.get(semconv.RPC_RESPONSE_STATUS_CODE):
        if code != "OK":
            words.append(f"[{shorten(str(code))}]")
    elif span.status is SpanStatus.ERROR:
        error = span.attributes.get(semconv.ERROR_TYPE, "error")
        words.append(f"[{shorten(str(error))}]")
    for key, value in span.attributes.items():
        if key in OMITTED or key == semconv.RPC_RESPONSE_STATUS_CODE:
            continue
        if len(line.spans) > 1 and key not in HINTS:
            continue
        if known.get(key) != value:
            key = key.removeprefix("agent.")
            words.append(f"{shorten(key)}={shorten(str(value))}")
    return " ".join(words)


def format_duration(nanoseconds: int) -> str:
    """Return a duration as people read it: `850 µs`, `12.4 ms`, `3.02 s`."""
    for unit, size in (("s", 10**9), ("ms", 10**6)):
        if nanoseconds >= size:
            amount = nanoseconds / size
            digits = 2 if amount < 10 else 1 if amount < 100 else 0
            return f"{amount:.{digits}f} {unit}"
    return f"{nanoseconds / 1000:.0f} µs"


def _lines(
    node: SpanNode,
    parent: ReceivedSpan | None = None,
    prefix: str = "",
    below: str = "",
) -> Iterator[_Line]:
    yield _Line(prefix, parent, [node.span])
    groups = list(folded(node))
    for group in groups:
        is_last = group is groups[-1]
        first = below + ("└─ " if is_last else "├─ ")
        if len(group) > 1:
            yield _Line(first, node.span, [child.span for child in group])
        else:
            rest = below + ("   " if is_last else "│  ")
            yield from _lines(group[0], node.span, first, rest)


def _bar(start: int, end: int, first: int, last: int, width: int) -> str:
    if not width:
        return ""
    scale = width / (last - first)
    begin = min(width - 1, max(0, int((start - first) * scale)))
    stop = min(width, max(begin + 1, round((end - first) * scale)))
    return " " * begin + "━" * (stop - begin)
