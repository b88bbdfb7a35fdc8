# SPDX-License-Identifier: Apache-2.0
"""Spans as trees with durations, for a terminal.

grpc.AgentService/CreateContainer container.id=c1   18.0 ms  ━━━━━━━━━━━━━━━━━━━
├─ storage.add storage.driver=virtio-fs             2.10 ms   ━━
└─ process.create                                   14.4 ms      ━━━━━━━━━━━━━━━
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from kata_host.printable import printable
from kata_host.trace.received_span import ReceivedSpan, SpanStatus
from kata_tracing import semconv

MAX_TEXT: Final = 60
"""Characters of a name or a value that are shown."""
MAX_DEPTH: Final = 64
"""Levels of a tree; a deeper span becomes a root."""
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
class SpanNode:
    """A span and its children, in the order of their start."""

    span: ReceivedSpan
    children: tuple[SpanNode, ...]


def build_trees(spans: Iterable[ReceivedSpan]) -> list[SpanNode]:
    """Put spans below their parents; return the roots in the order of their start.

    A span is a root if its parent is not among `spans`. Of several spans with one id
    the last counts, because a batch may arrive twice. A circle of parents is cut.
    """
    by_id = {(span.trace_id, span.span_id): span for span in spans}
    children: dict[tuple[str, str], list[ReceivedSpan]] = defaultdict(list)
    roots: list[ReceivedSpan] = []
    for span in by_id.values():
        parent = (span.trace_id, span.parent_id)
        (children[parent] if parent in by_id else roots).append(span)
    in_a_tree: set[tuple[str, str]] = set()

    def make_node(span: ReceivedSpan, depth: int) -> SpanNode:
        key = (span.trace_id, span.span_id)
        in_a_tree.add(key)
        below = children[key] if depth < MAX_DEPTH else []
        return SpanNode(
            span,
            tuple(
                make_node(child, depth + 1)
                for child in sorted(below, key=_by_start)
                if (child.trace_id, child.span_id) not in in_a_tree
            ),
        )

    forest = [make_node(span, 0) for span in sorted(roots, key=_by_start)]
    # The others are in a circle, or too deep: each becomes a root.
    for key, span in by_id.items():
        if key not in in_a_tree:
            forest.append(make_node(span, 0))
    return forest


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
    lines = list(_lines(root, None, "", ""))
    first = min(node.span.start for _, _, node in lines)
    last = max(first + 1, max(node.span.end for _, _, node in lines))
    # A character more than the longest name, for the sign that attributes are cut.
    names = 1 + max(len(prefix + shorten(node.span.name)) for prefix, _, node in lines)
    # Names come before bars: bars are narrowed, or left out, where both do not fit.
    room = min(max(MIN_BAR_WIDTH, min(BAR_WIDTH, width // 3)), width - names - 14)
    if room < MIN_BAR_WIDTH:
        room = 0
    label_width = max(24, width - room - 14)
    for prefix, parent, node in lines:
        label = prefix + _label(node.span, parent)
        if len(label) > label_width:
            label = label[: label_width - 1] + "…"
        bar = _bar(node.span, first, last, room)
        time = format_duration(node.span.duration)
        yield f"{label:<{label_width}} {time:>9}  {bar}".rstrip()


def _label(span: ReceivedSpan, parent: ReceivedSpan | None = None) -> str:
    """Return a span's name, outcome and attributes, safe to print.

    Attributes that the parent has too are left out.
    """
    known = {} if parent is None else parent.attributes
    words = [shorten(span.name)]
    if code := span.attributes.get(semconv.RPC_RESPONSE_STATUS_CODE):
        if code != "OK":
            words.append(f"[{shorten(str(code))}]")
    elif span.status is SpanStatus.ERROR:
        error = span.attributes.get(semconv.ERROR_TYPE, "error")
        words.append(f"[{shorten(str(error))}]")
    for key, value in span.attributes.items():
        if key in OMITTED or key == semconv.RPC_RESPONSE_STATUS_CODE:
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


def shorten(text: str) -> str:
    """Return a guest's text without control characters, `MAX_TEXT` long at most."""
    if len(text) > MAX_TEXT:
        text = text[: MAX_TEXT - 1] + "…"
    return printable(text)


def _lines(
    node: SpanNode, parent: ReceivedSpan | None, prefix: str, below: str
) -> Iterator[tuple[str, ReceivedSpan | None, SpanNode]]:
    yield prefix, parent, node
    for index, child in enumerate(node.children):
        is_last = index == len(node.children) - 1
        yield from _lines(
            child,
            node.span,
            below + ("└─ " if is_last else "├─ "),
            below + ("   " if is_last else "│  "),
        )


def _bar(span: ReceivedSpan, first: int, last: int, width: int) -> str:
    if not width:
        return ""
    scale = width / (last - first)
    begin = min(width - 1, max(0, int((span.start - first) * scale)))
    end = min(width, max(begin + 1, round((span.end - first) * scale)))
    return " " * begin + "━" * (end - begin)


def _by_start(span: ReceivedSpan) -> tuple[int, int]:
    return span.start, -span.duration
