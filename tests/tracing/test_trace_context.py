# SPDX-License-Identifier: Apache-2.0
import pytest

from kata_tracing.trace_context import TraceContext, random_id


def test_a_child_is_in_the_same_trace() -> None:
    parent = TraceContext(1, 2, sampled=False, tracestate="vendor=x")
    child = parent.child()
    assert (child.trace_id, child.sampled, child.tracestate) == (1, False, "vendor=x")
    assert child.span_id not in (0, parent.span_id)


def test_traces_are_new() -> None:
    contexts = [TraceContext.new() for _ in range(100)]
    assert len({it.trace_id for it in contexts} - {0}) == 100
    assert len({it.span_id for it in contexts} - {0}) == 100


@pytest.mark.parametrize("size", [8, 16])
def test_an_id_fits_its_size(size: int) -> None:
    assert all(0 < random_id(size) < 1 << 8 * size for _ in range(100))


def test_an_id_is_never_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([bytes(8), bytes(8), (5).to_bytes(8)])
    monkeypatch.setattr("os.urandom", lambda size: next(drawn))
    assert random_id(8) == 5


def test_the_headers_are_w3cs() -> None:
    assert TraceContext(0xAB, 0xCD).to_metadata() == {
        "traceparent": f"00-{0xAB:032x}-{0xCD:016x}-01"
    }
    assert TraceContext(1, 2, False, "a=1").to_metadata() == {
        "traceparent": f"00-{1:032x}-{2:016x}-00",
        "tracestate": "a=1",
    }
