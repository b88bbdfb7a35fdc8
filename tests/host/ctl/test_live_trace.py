# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.ctl.live_trace import LiveTrace
from kata_host.trace.received_span import ReceivedSpan
from kata_tracing.span_kind import SpanKind


def span(
    number: int, parent: int = 0, *, kind: SpanKind = SpanKind.INTERNAL
) -> ReceivedSpan:
    return ReceivedSpan(
        trace_id="1" * 32,
        span_id=f"{number:016x}",
        parent_id=f"{parent:016x}" if parent else "",
        name=f"span {number}",
        start=number,
        end=number + 1,
        kind=kind,
    )


def test_a_tree_is_complete_with_its_root() -> None:
    live = LiveTrace()
    assert list(live.completed([span(2, parent=1)])) == []
    assert list(live.completed([span(1)])) == [[span(2, parent=1), span(1)]]


def test_a_call_is_complete_though_its_caller_is_elsewhere() -> None:
    call = span(1, parent=99, kind=SpanKind.SERVER)
    assert list(LiveTrace().completed([call])) == [[call]]


def test_a_span_is_shown_once(capsys: pytest.CaptureFixture[str]) -> None:
    live = LiveTrace()
    spans = [span(1)]
    live.show(spans)
    live.show([*spans, span(2)])
    assert live.seen == 2
    printed = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in printed] == ["span 1", "span 2"]
