# SPDX-License-Identifier: Apache-2.0
"""Spans below their parents, whatever parents a hostile guest names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kata_host.trace.received_span import ReceivedSpan

MAX_DEPTH: Final = 64
"""Levels of a tree; a deeper span becomes a root."""


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


def _by_start(span: ReceivedSpan) -> tuple[int, int]:
    return span.start, -span.duration
