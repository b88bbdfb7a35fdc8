# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from kata_host.trace.forest import MAX_DEPTH, SpanNode, build_trees
from kata_host.trace.received_span import ReceivedSpan


def span(name: str, parent: str = "", start: int = 0) -> ReceivedSpan:
    return ReceivedSpan("t", name, parent, name, start, start + 1)


def names(node: SpanNode) -> list[str]:
    return [node.span.name, *(name for it in node.children for name in names(it))]


def test_children_are_in_the_order_of_their_start() -> None:
    (root,) = build_trees([span("c", "a", 5), span("b", "a", 2), span("a")])
    assert names(root) == ["a", "b", "c"]


def test_a_parent_of_another_trace_is_none() -> None:
    other = ReceivedSpan("u", "b", "a", "b", 0, 1)
    assert len(build_trees([span("a"), other])) == 2


def test_circles_and_doubles_leave_each_span_once() -> None:
    spans = [span("a", "b"), span("b", "a"), span("d", "d"), span("e"), span("e")]
    found = [name for root in build_trees(spans) for name in names(root)]
    assert sorted(found) == ["a", "b", "d", "e"]


def test_a_chain_without_end_is_cut() -> None:
    spans = [span(str(n), str(n - 1)) for n in range(5000)]
    roots = build_trees(spans)
    assert names(roots[0]) == [str(n) for n in range(MAX_DEPTH + 1)]
    assert sum(len(names(root)) for root in roots) == 5000
