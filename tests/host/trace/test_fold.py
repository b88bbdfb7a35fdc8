# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from kata_host.trace.fold import LEAST, folded
from kata_host.trace.forest import SpanNode
from kata_host.trace.received_span import ReceivedSpan, SpanStatus
from kata_host.trace.tree import render_tree

OK, ERROR = SpanStatus.UNSET, SpanStatus.ERROR


def span(
    number: int, name: str, status: SpanStatus = OK, **attributes: str
) -> ReceivedSpan:
    of = {key.replace("_", "."): value for key, value in attributes.items()}
    ids = (f"{number}", "" if number == 0 else "0")
    return ReceivedSpan(
        "t", *ids, name, number, number + 10**6, status=status, attributes=of
    )


def sizes(*spans: ReceivedSpan) -> list[tuple[str, int]]:
    node = SpanNode(span(0, "top"), tuple(SpanNode(it, ()) for it in spans))
    return [(group[0].span.name, len(group)) for group in folded(node)]


def test_equal_calls_between_others_are_one() -> None:
    calls = [span(n, "in" if n % 2 else "out") for n in range(1, 2 * LEAST + 1)]
    assert sizes(*calls) == [("in", LEAST), ("out", LEAST)]


def test_a_few_stay() -> None:
    assert sizes(*(span(n, "in") for n in range(1, LEAST))) == [("in", 1)] * (LEAST - 1)


def test_what_failed_or_is_of_another_container_stays() -> None:
    calls = [span(n, "in", container_id="a") for n in range(1, LEAST + 1)]
    others = [span(90, "in", ERROR, container_id="a"), span(91, "in", container_id="b")]
    assert sizes(*calls, *others) == [("in", LEAST), ("in", 1), ("in", 1)]


def test_what_has_steps_of_its_own_stays() -> None:
    inner = SpanNode(span(99, "step"), ())
    calls = tuple(SpanNode(span(n, "in"), (inner,)) for n in range(1, 9))
    assert len(list(folded(SpanNode(span(0, "top"), calls)))) == 8


def test_the_tree_has_one_line_for_them_with_their_sum() -> None:
    spans = [
        span(0, "top"),
        *(span(n, "CopyFile", api=str(n), container_id="c1") for n in range(1, 257)),
    ]
    _, line = render_tree(spans).splitlines()
    assert line.split("  ")[0] == "└─ CopyFile (x256) container.id=c1"
    assert "256 ms" in line
