# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from kata_host.trace.hint import hint
from kata_host.trace.received_span import ReceivedSpan


def span(**attributes: str) -> ReceivedSpan:
    of = {key.replace("_", "."): value for key, value in attributes.items()}
    return ReceivedSpan("t", "a", "", "a", 1, 2, attributes=of)


def test_a_hint_tells_calls_of_one_name_apart() -> None:
    first = span(container_id="c1", agent_exec_id="c1")
    second = span(container_id="c1", agent_exec_id="e1")
    assert hint(first, None) == "c1"
    assert hint(second, first) == "e1"
    assert hint(span(), second) == ""


def test_a_hint_is_bounded_and_printable() -> None:
    long = hint(span(container_id="\x1b" + "x" * 9000), None)
    assert long.startswith("\\x1bxx")
    assert len(long) < 70
