# SPDX-License-Identifier: Apache-2.0
"""Spans as a tree with durations, for a terminal.

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
from kata_host.trace.span_record import SpanRecord
from kata_tracing import semconv
from kata_tracing.kind import Status

MAX_TEXT: Final = 60
"""Characters of a name or a value that are shown."""
MAX_DEPTH: Final = 64
BAR_WIDTH: Final = 32
MIN_BAR_WIDTH: Final = 12
BRIEF: Final = frozenset(
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
"""Attributes that a line leaves out: they repeat its name, or all lines."""


@dataclass(frozen=True, slots=True)
class Node:
    """A span and its children, in the order they began."""

    span: SpanRecord
    children: tuple[Node, ...]


def build(spans: Iterable[SpanRecord]) -> list[Node]:
    """Put spans below their parents; return the roots in the order they began.

    A span is a root if its parent is not among `spans`. Of several with one id
    the last counts (a batch may arrive twice), and a circle of parents is cut.
    """
    by_id = {(span.trace_id, span.span_id): span for span in spans}
    children: dict[tuple[str, str], list[SpanRecord]] = defaultdict(list)
    roots: list[SpanRecord] = []
    for span in by_id.values():
        parent = (span.trace_id, span.parent_id)
        (children[parent] if parent in by_id else roots).append(span)
    placed: set[tuple[str, str]] = set()

    def place(span: SpanRecord, depth: int) -> Node:
        key = (span.trace_id, span.span_id)
        placed.add(key)
        below = children[key] if depth < MAX_DEPTH else []
        return Node(
            span,
            tuple(
                place(child, depth + 1)
                for child in sorted(below, key=_by_start)
                if (child.trace_id, child.span_id) not in placed
            ),
        )

    forest = [place(span, 0) for span in sorted(roots, key=_by_start)]
    # What is left hangs in a circle, or too deep: each becomes a root.
    for key, span in by_id.items():
        if key not in placed:
            forest.append(place(span, 0))
    return forest


def render(spans: Iterable[SpanRecord], *, width: int = 100) -> str:
    """Return the spans as a tree, `width` columns wide, ending in a newline.

    Each root has a time line of its own.
    """
    return "".join(
        line + "\n" for root in build(spans) for line in render_root(root, width=width)
    )


def render_root(root: Node, *, width: int = 100) -> Iterator[str]:
    """Return the lines of one tree."""
    lines = list(_lines(root, None, "", ""))
    first = min(node.span.start for _, _, node in lines)
    last = max(first + 1, max(node.span.end for _, _, node in lines))
    room = max(MIN_BAR_WIDTH, min(BAR_WIDTH, width // 3))
    label_width = max(24, width - room - 14)
    for prefix, parent, node in lines:
        label = prefix + label_of(node.span, parent)
        if len(label) > label_width:
            label = label[: label_width - 1] + "…"
        bar = _bar(node.span, first, last, room)
        time = format_duration(node.span.duration)
        yield f"{label:<{label_width}} {time:>9}  {bar}"


def label_of(span: SpanRecord, parent: SpanRecord | None = None) -> str:
    """Return name, telling attributes and outcome of a span, safe to print.

    What the parent says already is not said again.
    """
    known = {} if parent is None else parent.attributes
    words = [shorten(span.name)]
    if code := span.attributes.get(semconv.RPC_RESPONSE_STATUS_CODE):
        if code != "OK":
            words.append(f"[{shorten(str(code))}]")
    elif span.status is Status.ERROR:
        error = span.attributes.get(semconv.ERROR_TYPE, "error")
        words.append(f"[{shorten(str(error))}]")
    for key, value in span.attributes.items():
        if key in BRIEF or key == semconv.RPC_RESPONSE_STATUS_CODE:
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
    """Make a guest's text fit to print: no control characters, bounded length."""
    if len(text) > MAX_TEXT:
        text = text[: MAX_TEXT - 1] + "…"
    return printable(text)


def _lines(
    node: Node, parent: SpanRecord | None, prefix: str, below: str
) -> Iterator[tuple[str, SpanRecord | None, Node]]:
    yield prefix, parent, node
    for index, child in enumerate(node.children):
        is_last = index == len(node.children) - 1
        yield from _lines(
            child,
            node.span,
            below + ("└─ " if is_last else "├─ "),
            below + ("   " if is_last else "│  "),
        )


def _bar(span: SpanRecord, first: int, last: int, width: int) -> str:
    scale = width / (last - first)
    begin = min(width - 1, max(0, int((span.start - first) * scale)))
    end = min(width, max(begin + 1, round((span.end - first) * scale)))
    return " " * begin + "━" * (end - begin)


def _by_start(span: SpanRecord) -> tuple[int, int]:
    return span.start, -span.duration
