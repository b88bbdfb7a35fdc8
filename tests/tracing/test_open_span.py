# SPDX-License-Identifier: Apache-2.0
"""A span from its beginning to its end."""

from __future__ import annotations

import asyncio
import contextvars

import pytest

from kata_tracing import clock
from kata_tracing.attributes import MAX_ATTRIBUTES, MAX_TEXT
from kata_tracing.open_span import OpenSpan, current_span, error_type
from kata_tracing.span_data import SpanData
from kata_tracing.trace_context import TraceContext


@pytest.fixture
def ended() -> list[SpanData]:
    return []


def begin(
    ended: list[SpanData], parent: OpenSpan | None = None, *, sampled: bool = True
) -> OpenSpan:
    offset = clock.wall_offset()
    context = TraceContext(1, 2, sampled=sampled)
    data = SpanData("a.b", context, clock.now(offset))
    return OpenSpan(data, ended.append, offset, parent, None)


def test_it_is_the_current_span_in_its_block(ended: list[SpanData]) -> None:
    with begin(ended) as outer:
        assert current_span.get() is outer
        with begin(ended, outer) as inner:
            assert current_span.get() is inner
        assert current_span.get() is outer
    assert current_span.get() is None
    assert len(ended) == 2


def test_an_ended_span_does_not_change(ended: list[SpanData]) -> None:
    span = begin(ended)
    span.end()
    span.set_attribute("key", 1)
    span.end()
    (data,) = ended
    assert data.end >= data.start
    assert data.attributes == {}


def test_it_may_end_at_a_time_of_before(ended: list[SpanData]) -> None:
    span = begin(ended)
    span.end(at=5)
    assert ended[0].end == 5 + span.offset


def test_a_trace_that_is_not_sampled_goes_nowhere(ended: list[SpanData]) -> None:
    with begin(ended, sampled=False):
        pass
    assert not ended


def test_attributes_are_bounded(ended: list[SpanData]) -> None:
    with begin(ended) as span:
        for number in range(100):
            span.set_attribute(f"k{number}", "y" * 5000)
        span.set_attribute("k0", "again")
    (data,) = ended
    assert len(data.attributes) == MAX_ATTRIBUTES
    assert data.dropped_attributes == 100 - MAX_ATTRIBUTES
    assert data.attributes["k0"] == "again"
    assert data.attributes["k1"] == "y" * MAX_TEXT


@pytest.mark.parametrize(
    ("error", "kind", "number"),
    [
        (OSError(2, "secret"), "FileNotFoundError", "ENOENT"),
        (OSError(99999, "secret"), "OSError", "99999"),
        (OSError("secret"), "OSError", None),
        (asyncio.CancelledError("secret"), "asyncio.exceptions.CancelledError", None),
    ],
)
def test_an_error_gives_its_type_and_not_its_text(
    ended: list[SpanData], error: BaseException, kind: str, number: str | None
) -> None:
    with pytest.raises(type(error)), begin(ended):
        raise error
    (data,) = ended
    assert data.failed
    assert data.attributes["error.type"] == kind
    assert data.attributes.get("agent.errno") == number
    assert "secret" not in repr(data)


def test_a_type_of_ours_is_named_with_its_module() -> None:
    class OddError(Exception):
        pass

    name = error_type(OddError())
    assert name.startswith(f"{__name__}.")
    assert name.endswith("OddError")


def test_the_nearest_open_span_is_found(ended: list[SpanData]) -> None:
    top = begin(ended)
    middle = begin(ended, top)
    bottom = begin(ended, middle)
    assert bottom.open_ancestor() is middle
    middle.end()
    assert bottom.open_ancestor() is top
    top.end()
    assert bottom.open_ancestor() is None


def test_a_block_may_be_left_in_another_context(ended: list[SpanData]) -> None:
    """As when another task closes an async generator."""
    span = begin(ended)
    contextvars.copy_context().run(span.__enter__)
    span.__exit__(None, None, None)
    assert [data.name for data in ended] == ["a.b"]
    assert current_span.get() is None
