# SPDX-License-Identifier: Apache-2.0
"""The trace port with collectors that are late, absent, busy, broken or hung.

In each case every span is counted once.
"""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan

from kata_tracing.counters import Counters, DropReason
from kata_tracing.encoding.encoding import Encoding
from kata_tracing.encoding.load_encoding import load_encoding
from kata_tracing.http1.message import format_response
from kata_tracing.sdk_translator import SdkTranslator
from kata_tracing.span_data import SpanData
from kata_tracing.trace_context import TraceContext
from kata_tracing.trace_port import TracePort, TracePortLimits
from tests.helpers.trace_port import HANG, OK, FakeCollector, fake_collector

QUICK = TracePortLimits(batch_delay=0.01, backoff_first=0.005, backoff_last=0.02)
AGAIN = format_response(503, "Service Unavailable", {"Retry-After": "0.01"})
REFUSED = format_response(400, "Bad Request", {})


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[FakeCollector]:
    with fake_collector(tmp_path / "guest.sock_10240") as it:
        yield it


@pytest.fixture
def absent(tmp_path: Path) -> Iterator[FakeCollector]:
    it = FakeCollector(tmp_path / "guest.sock_10240")
    yield it
    it.stop()


class Sender:
    """A port, and a count of the spans put into it."""

    def __init__(
        self,
        collector: FakeCollector,
        limits: TracePortLimits = QUICK,
        form: Encoding | None = None,
    ) -> None:
        self.counters = Counters()
        self.port = TracePort(
            collector.connect,
            form or load_encoding("otlp"),
            SdkTranslator({"service.name": "kata-agent"}).translate,
            counters=self.counters,
            limits=limits,
        )
        self._next = 1

    def put(self, count: int, name: str = "", **attributes: str) -> None:
        """Put spans in at one go: the sender thread sees all of them or none."""
        with self.counters.lock:
            for _ in range(count):
                self._put_one(name, attributes)

    def _put_one(self, name: str, attributes: dict[str, str]) -> None:
        context = TraceContext(1, self._next)
        data = SpanData(name or f"s{self._next}", context, 1, 2)
        data.attributes.update(attributes)
        self.port.put(data)
        self._next += 1

    def dropped(self) -> dict[DropReason, int]:
        return {reason: n for reason, n in self.counters.dropped.items() if n}

    def check(self, *, ended: int, sent: int, **dropped: int) -> None:
        assert self.counters.ended == ended
        assert self.counters.sent == sent
        assert self.dropped() == {DropReason(key): n for key, n in dropped.items()}
        assert self.counters.pending == 0


def names(collector: FakeCollector) -> list[str]:
    return [span.name for span in collector.spans()]


def expected(count: int, first: int = 1) -> list[str]:
    return [f"s{number}" for number in range(first, first + count)]


def test_all_arrive_in_order_over_one_connection(collector: FakeCollector) -> None:
    sender = Sender(collector)
    sender.put(1000)
    assert sender.port.flush(10)
    sender.put(1)
    assert sender.port.close(10)
    assert names(collector) == expected(1001)
    assert collector.connections == 1
    sender.check(ended=1001, sent=1001)


def test_a_span_leaves_without_being_asked_for(collector: FakeCollector) -> None:
    sender = Sender(collector)
    sender.put(1)
    collector.wait(lambda it: len(it.requests) == 1)
    assert sender.port.close(10)
    sender.check(ended=1, sent=1)


def test_a_late_collector_gets_all(absent: FakeCollector) -> None:
    sender = Sender(absent)
    sender.put(1500)
    while not sender.counters.send_errors:
        assert not sender.port.flush(0.05)
    absent.start()
    assert sender.port.flush(10)
    assert names(absent) == expected(1500)
    assert sender.port.close(10)
    sender.check(ended=1500, sent=1500)


def test_a_restarted_collector_gets_all(collector: FakeCollector) -> None:
    sender = Sender(collector)
    sender.put(300)
    assert sender.port.flush(10)
    collector.stop()
    sender.put(300)
    assert not sender.port.flush(0.05)
    collector.start()
    assert sender.port.flush(10)
    assert sender.port.close(10)
    assert names(collector) == expected(600)
    sender.check(ended=600, sent=600)


def test_an_absent_collector_costs_bounded_memory(absent: FakeCollector) -> None:
    limits = TracePortLimits(
        queue_spans=500, spool_bytes=20_000, batch_spans=50, batch_delay=0.01
    )
    sender = Sender(absent, limits)
    for _ in range(20):
        sender.put(200)
    began = time.monotonic()
    assert not sender.port.close(0.2)
    assert time.monotonic() - began < 2
    dropped = sender.dropped()
    assert dropped.keys() <= {DropReason.QUEUE, DropReason.SPOOL, DropReason.SHUTDOWN}
    assert dropped[DropReason.SHUTDOWN] > 0
    assert sum(dropped.values()) == sender.counters.ended == 4000
    assert sender.counters.pending == 0


def test_a_full_queue_drops_the_newest(collector: FakeCollector) -> None:
    begun, go_on = threading.Event(), threading.Event()
    otlp = load_encoding("otlp")

    def encode(spans: Sequence[ReadableSpan]) -> bytes:
        begun.set()
        assert go_on.wait(20)
        return otlp.encode(spans)

    slow = replace(otlp, encode=encode)
    sender = Sender(collector, TracePortLimits(queue_spans=10, batch_spans=1), slow)
    sender.put(1)
    # The sender thread has taken the first span out of the queue and is held up.
    assert begun.wait(20)
    sender.put(13)
    assert sender.dropped() == {DropReason.QUEUE: 3}
    go_on.set()
    assert sender.port.close(10)
    assert names(collector) == expected(11)
    sender.check(ended=14, sent=11, queue=3)


def test_a_full_spool_drops_the_oldest(absent: FakeCollector) -> None:
    limits = TracePortLimits(
        batch_spans=10, spool_bytes=2000, batch_delay=0.01, backoff_first=0.01
    )
    otlp, encoded, all_encoded = load_encoding("otlp"), [], threading.Event()

    def encode(spans: Sequence[ReadableSpan]) -> bytes:
        encoded.append(len(spans))
        if sum(encoded) == 200:
            all_encoded.set()
        return otlp.encode(spans)

    sender = Sender(absent, limits, replace(otlp, encode=encode))
    for _ in range(20):
        sender.put(10)
    assert all_encoded.wait(20)
    # The same thread spools and delivers, so the last batch is spooled before
    # anything can be delivered.
    absent.start()
    assert sender.port.close(10)
    lost = sender.dropped()[DropReason.SPOOL]
    assert 0 < lost < 200
    assert names(absent) == expected(200 - lost, first=lost + 1)
    sender.check(ended=200, sent=200 - lost, spool=lost)


def test_a_busy_collector_gets_the_batch_again(collector: FakeCollector) -> None:
    collector.answers = [AGAIN, AGAIN, OK]
    sender = Sender(collector)
    sender.put(30)
    assert sender.port.close(10)
    assert names(collector) == expected(30)
    assert sender.counters.throttled == 2
    assert collector.attempts == 3
    sender.check(ended=30, sent=30)


def test_a_collector_that_names_a_time_gets_the_batch_then(
    collector: FakeCollector,
) -> None:
    pause = 0.3
    later = {"Retry-After": str(pause)}
    collector.answers = [format_response(429, "Too Many Requests", later), OK]
    sender = Sender(collector)
    sender.put(10)
    collector.wait(lambda it: it.attempts == 1)
    began = time.monotonic()
    collector.wait(lambda it: it.attempts == 2)
    # Ten times the longest backoff; the pause began before the clock was read.
    assert time.monotonic() - began > 0.9 * pause
    assert sender.port.close(10)
    sender.check(ended=10, sent=10)


@pytest.mark.parametrize(
    "value", [None, "0", "-1", "nan", "Wed, 21 Oct 2015 07:28 GMT"]
)
def test_a_collector_that_names_no_time_gets_the_batch_soon(
    collector: FakeCollector, value: str | None
) -> None:
    headers = {} if value is None else {"Retry-After": value}
    collector.answers = [format_response(503, "", headers)] * 5 + [OK]
    sender = Sender(collector)
    sender.put(10)
    began = time.monotonic()
    collector.wait(lambda it: it.attempts == 6)
    assert time.monotonic() - began < 5.0
    assert sender.port.close(10)
    assert sender.counters.throttled == 5
    sender.check(ended=10, sent=10)


def test_a_refused_batch_does_not_stop_the_next(collector: FakeCollector) -> None:
    collector.answers = [REFUSED, OK]
    sender = Sender(collector)
    sender.put(10)
    assert sender.port.flush(10)
    sender.put(10)
    assert sender.port.close(10)
    assert names(collector) == expected(10, first=11)
    sender.check(ended=20, sent=10, refused=10)


def test_partial_success_is_counted(collector: FakeCollector) -> None:
    # ExportTraceServiceResponse{partial_success{rejected_spans: 3}}
    body = b"\x0a\x02\x08\x03"
    collector.answers = [format_response(200, "OK", {}, body)]
    sender = Sender(collector)
    sender.put(10)
    assert sender.port.close(10)
    sender.check(ended=10, sent=7, rejected=3)


def test_more_rejected_than_sent_is_not_believed(collector: FakeCollector) -> None:
    collector.answers = [format_response(200, "OK", {}, b"\x0a\x03\x08\xe8\x07")]
    sender = Sender(collector)
    sender.put(10)
    assert sender.port.close(10)
    sender.check(ended=10, sent=0, rejected=10)


def test_a_response_that_is_not_http_is_tried_again(collector: FakeCollector) -> None:
    collector.answers = [b"SSH-2.0-OpenSSH\r\n\r\n", b"x" * 40_000, OK]
    sender = Sender(collector)
    sender.put(10)
    assert sender.port.close(10)
    assert sender.counters.send_errors == 2
    sender.check(ended=10, sent=10)


def test_a_hung_collector_holds_up_nothing(collector: FakeCollector) -> None:
    collector.answers = [HANG]
    sender = Sender(collector, TracePortLimits(timeout=60))
    sender.put(10)
    collector.wait(lambda it: it.attempts == 1)
    began = time.monotonic()
    sender.put(100)
    # Far below the timeout of a batch, far above the delays of a busy machine.
    assert time.monotonic() - began < 5.0
    assert not sender.port.flush(0.02)
    began = time.monotonic()
    assert not sender.port.close(0.1)
    assert time.monotonic() - began < 5.0
    sender.check(ended=110, sent=0, shutdown=110)


def test_a_timeout_is_tried_again(collector: FakeCollector) -> None:
    collector.answers = [HANG, OK]
    sender = Sender(collector, TracePortLimits(timeout=0.05, batch_delay=0.01))
    sender.put(10)
    assert sender.port.close(10)
    assert sender.counters.send_errors == 1
    sender.check(ended=10, sent=10)


def test_an_idle_connection_that_was_closed_is_no_failure(
    collector: FakeCollector,
) -> None:
    collector.close_after_answer = True
    sender = Sender(collector)
    for _ in range(3):
        sender.put(1)
        assert sender.port.flush(10)
    assert sender.port.close(10)
    assert collector.connections == 3
    assert sender.counters.send_errors == 0
    sender.check(ended=3, sent=3)


def test_a_span_that_cannot_be_encoded_is_dropped_alone(
    collector: FakeCollector,
) -> None:
    sender = Sender(collector)
    sender.put(5)
    sender.put(1, name="\udc80")
    sender.put(5)
    assert sender.port.close(10)
    assert names(collector) == expected(5) + expected(5, first=7)
    sender.check(ended=11, sent=10, encode=1)


def test_a_large_batch_is_halved(collector: FakeCollector) -> None:
    sender = Sender(collector, TracePortLimits(batch_bytes=3000, batch_delay=0.01))
    sender.put(16, key="x" * 1000)
    assert sender.port.close(10)
    assert names(collector) == expected(16)
    assert len(collector.requests) == 8
    assert all(len(message.body) <= 3000 for message in collector.requests)


def test_after_the_end_spans_are_counted_as_dropped(collector: FakeCollector) -> None:
    sender = Sender(collector)
    assert sender.port.close(10)
    sender.put(3)
    assert sender.port.close(10)
    sender.check(ended=3, sent=0, shutdown=3)


def test_a_forked_child_has_no_thread_and_sends_nothing(
    collector: FakeCollector,
) -> None:
    sender = Sender(collector)
    pid = os.fork()
    if pid == 0:
        sender.put(1)
        threads = len(threading.enumerate())
        os._exit(10 * threads + sender.counters.ended)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 10
    assert sender.port.close(10)
    sender.check(ended=0, sent=0)


def test_many_threads_may_put_spans(collector: FakeCollector) -> None:
    sender = Sender(collector, TracePortLimits(queue_spans=100_000, batch_delay=0.01))

    def put() -> None:
        for _ in range(500):
            sender.put(1)

    threads = [threading.Thread(target=put) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sender.port.close(20)
    assert len(collector.spans()) == 4000
    sender.check(ended=4000, sent=4000)
