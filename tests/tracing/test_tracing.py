# SPDX-License-Identifier: Apache-2.0
"""Tracing as the agent switches it, with a collector in a thread."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_host.trace.received_span import ReceivedSpan
from kata_tracing import clock
from kata_tracing.counters import DropReason
from kata_tracing.span import NO_SPAN, span
from kata_tracing.tracing import TraceMode, Tracing, TracingStateError
from tests.helpers.trace_port import HANG, FakeCollector, fake_collector


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[FakeCollector]:
    with fake_collector(tmp_path / "guest.sock_10240") as it:
        yield it


def by_name(collector: FakeCollector) -> dict[str, ReceivedSpan]:
    return {it.name: it for it in collector.spans()}


async def test_tracing_goes_on_and_off_many_times(collector: FakeCollector) -> None:
    tracing = Tracing(collector.connect, version="9")
    for turn in range(3):
        await tracing.start("collated")
        assert tracing.tracer is not None
        assert tracing.mode is TraceMode.STATIC
        with span(f"turn.{turn}", subsystem="test"):
            pass
        await tracing.stop()
        with span("lost", subsystem="test") as nothing:
            assert nothing is NO_SPAN
    assert [it.name for it in collector.spans()] == ["turn.0", "turn.1", "turn.2"]
    counters = tracing.counters()
    assert (counters.ended, counters.sent, counters.pending) == (3, 3, 0)
    assert {it.service for it in collector.spans()} == {"kata-agent"}


async def test_dynamic_tracing_follows_kata_1(collector: FakeCollector) -> None:
    tracing = Tracing(collector.connect)
    with pytest.raises(TracingStateError, match="^tracing not enabled$"):
        await tracing.stop_by_call()
    for _ in range(2):
        await tracing.start_by_call()
        assert tracing.mode is TraceMode.DYNAMIC
        assert tracing.trace_type == "isolated"
        with pytest.raises(TracingStateError, match="^tracing already enabled$"):
            await tracing.start_by_call()
        await tracing.stop_by_call()
        assert tracing.mode is TraceMode.OFF


async def test_static_tracing_accepts_one_start(collector: FakeCollector) -> None:
    tracing = Tracing(collector.connect)
    await tracing.start("collated")
    await tracing.start_by_call()
    assert tracing.trace_type == "collated"
    with pytest.raises(TracingStateError, match="already enabled"):
        await tracing.start_by_call()
    await tracing.stop_by_call()
    assert span("a", subsystem="test") is NO_SPAN


async def test_a_second_stop_is_refused_while_the_first_flushes(
    collector: FakeCollector,
) -> None:
    collector.answers = [HANG]
    tracing = Tracing(collector.connect, flush_timeout=0.2)
    await tracing.start_by_call()
    with span("a", subsystem="test"):
        pass
    stopping = asyncio.create_task(tracing.stop_by_call())
    await asyncio.sleep(0)
    with pytest.raises(TracingStateError, match="^tracing already disabled$"):
        await tracing.stop_by_call()
    await stopping
    assert tracing.counters().dropped[DropReason.SHUTDOWN] == 1


async def test_the_loop_goes_on_while_it_is_switched(collector: FakeCollector) -> None:
    collector.answers = [HANG]
    tracing = Tracing(collector.connect, flush_timeout=3)
    worst, last, done = 0.0, time.monotonic(), False

    async def tick() -> None:
        nonlocal worst, last
        while not done:
            await asyncio.sleep(0.001)
            now = time.monotonic()
            worst, last = max(worst, now - last), now

    ticking = asyncio.create_task(tick())
    await tracing.start("collated")
    with span("a", subsystem="test"):
        pass
    await tracing.stop()
    done = True
    await ticking
    # A loop that waited for the flush would stand still for 3 s.
    assert worst < 1.5


async def test_an_unknown_type_or_encoding_is_refused(collector: FakeCollector) -> None:
    with pytest.raises(ValueError, match="sideways"):
        await Tracing(collector.connect).start("sideways")
    with pytest.raises(ValueError, match="morse"):
        await Tracing(collector.connect, encoding="morse").start("collated")
    assert span("a", subsystem="test") is NO_SPAN


async def test_boot_begins_before_tracing(collector: FakeCollector) -> None:
    tracing = Tracing(collector.connect)
    since = time.monotonic_ns() - 10**9
    with tracing.boot(since=since) as nothing:
        assert nothing is NO_SPAN
    await tracing.start("isolated")
    with tracing.boot(since=since), span("step.one", subsystem="test"):
        pass
    await tracing.stop()
    found = by_name(collector)
    assert found["agent.boot"].duration > 10**9
    assert found["step.one"].parent_id == found["agent.boot"].span_id


async def test_sandbox_id_is_on_later_spans(collector: FakeCollector) -> None:
    tracing = Tracing(collector.connect)
    await tracing.start("collated")
    with span("a", subsystem="test"):
        tracing.sandbox_id = "sb-1"
    with span("b", subsystem="test"):
        pass
    await tracing.stop()
    found = by_name(collector)
    assert "sandbox.id" not in found["a"].attributes
    assert found["b"].attributes["sandbox.id"] == "sb-1"


async def test_a_step_of_the_clock_moves_only_later_traces(
    collector: FakeCollector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SetGuestDateTime in the middle of a span gives no negative duration."""
    tracing = Tracing(collector.connect)
    await tracing.start("collated")
    hour = 3600 * 10**9
    with span("outer", subsystem="test"):
        before = clock.wall_offset()
        monkeypatch.setattr(clock, "wall_offset", lambda: before - hour)
        with span("inner", subsystem="test"):
            pass
    with span("later", subsystem="test"):
        pass
    await tracing.stop()
    found = by_name(collector)
    outer, inner, later = found["outer"], found["inner"], found["later"]
    assert outer.start <= inner.start <= inner.end <= outer.end
    assert later.end >= later.start
    assert later.start < outer.start - hour // 2


async def test_a_task_that_outlives_its_call_links_to_it(
    collector: FakeCollector,
) -> None:
    tracing = Tracing(collector.connect)
    await tracing.start("collated")
    go = asyncio.Event()

    async def background() -> None:
        await go.wait()
        with span("late", subsystem="test"):
            pass

    with span("call", subsystem="test"):
        task = asyncio.create_task(background())
        await asyncio.sleep(0)
    go.set()
    await task
    await tracing.stop()
    found = by_name(collector)
    assert found["late"].parent_id == ""
    assert found["late"].trace_id != found["call"].trace_id
    assert found["late"].links == ((found["call"].trace_id, found["call"].span_id),)


async def test_failures_say_their_type_and_not_their_text(
    collector: FakeCollector,
) -> None:
    tracing = Tracing(collector.connect)
    await tracing.start("collated")
    with pytest.raises(FileNotFoundError), span("a", subsystem="test"):
        raise FileNotFoundError(2, "PASSWORD=secret")
    await tracing.stop()
    (found,) = collector.spans()
    assert found.attributes["error.type"] == "FileNotFoundError"
    assert found.attributes["agent.errno"] == "ENOENT"
    assert all(b"secret" not in message.body for message in collector.requests)


async def test_attributes_that_cannot_be_encoded_do_no_harm(
    collector: FakeCollector,
) -> None:
    tracing = Tracing(collector.connect)
    await tracing.start("collated")
    with span("a", {"path": "/\udcff", "long": "x" * 5000}, subsystem="test") as it:
        it.set_attribute("later", "\udc80")
        for number in range(100):
            it.set_attribute(f"k{number}", number)
    await tracing.stop()
    (found,) = collector.spans()
    assert len(found.attributes) <= 32
    assert len(str(found.attributes.get("long", ""))) <= 1024


def test_turning_on_is_cheap() -> None:
    """Within 150 ms of CPU and 4 MiB, in a process with the agent's own imports."""
    script = """
import asyncio, time, kata_agent.__main__, kata_agent.main
from kata_tracing.tracing import Tracing
def rss():
    with open("/proc/self/status") as f:
        return int(f.read().split("VmRSS:")[1].split()[0])
def connect(timeout): raise OSError("no collector")
async def main():
    tracing = Tracing(connect, flush_timeout=0)
    before, began = rss(), time.process_time()
    await tracing.start("collated")
    print(time.process_time() - began, rss() - before)
    await tracing.stop()
asyncio.run(main())
"""
    runs = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-c", script], check=True, capture_output=True, text=True
        )
        seconds, kib = done.stdout.split()
        runs.append((float(seconds), int(kib)))
    assert min(seconds for seconds, _ in runs) < 0.150
    assert min(kib for _, kib in runs) < 4096
