# SPDX-License-Identifier: Apache-2.0
"""The guest's end of the trace port: takes ended spans at once, sends them later.

    put() -> queue of data -> [sender thread: SDK's spans, encode] -> spool -> collector

`put` is called where a call is being served, so it does no I/O and never waits: it
appends to a bounded queue. One thread encodes early, because a span weighs 1 kB and
its encoding 0.3, and keeps each batch until the collector has answered. A span that
finds no room is dropped and counted.

OpenTelemetry's own batch processor is not used. It forgets a batch that failed once,
blocks shutdown for up to 30 s, and starts a thread in every forked child, where
`setns` then fails with EINVAL.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kata_tracing.backoff import backoff
from kata_tracing.batch import Batch
from kata_tracing.batch_encoder import BatchEncoder
from kata_tracing.collector import Collector, CollectorResponse, Connect, Outcome
from kata_tracing.counters import Counters, DropReason
from kata_tracing.encoding.encoding import Encoding
from kata_tracing.http1.message import HttpError
from kata_tracing.span_data import SpanData
from kata_tracing.spool import Spool

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

log = logging.getLogger(__name__)

NEVER: Final = float("inf")
ABORT_TIMEOUT: Final = 0.1
"""Seconds that `close` waits for the thread once its connection is shut down. Only a
thread that is still connecting does not notice."""


@dataclass(frozen=True, slots=True)
class TracePortLimits:
    """Sizes in spans or bytes, times in seconds."""

    queue_spans: int = 2048
    batch_spans: int = 256
    batch_bytes: int = 1 << 20
    """A larger batch is sent in halves; collectors take 4 MiB and more."""
    batch_delay: float = 0.2
    """How long the first span of a batch waits for others."""
    spool_bytes: int = 4 << 20
    timeout: float = 2.0
    """For one delivery, connecting included."""
    backoff_first: float = 0.05
    backoff_last: float = 5.0


class TracePort:
    """Delivers spans to the collector, from a thread of its own."""

    def __init__(
        self,
        connect: Connect,
        encoding: Encoding,
        translate: Callable[[SpanData], ReadableSpan],
        *,
        counters: Counters | None = None,
        limits: TracePortLimits | None = None,
    ) -> None:
        self._limits = limits or TracePortLimits()
        self._collector = Collector(connect, encoding)
        self._encoder = BatchEncoder(
            encoding, translate, max_bytes=self._limits.batch_bytes
        )
        self._counters = counters or Counters()
        self._pid = os.getpid()
        # The lock of this condition guards all attributes below. Threads hold the lock
        # for a few assignments, never for I/O.
        self._changed = threading.Condition(self._counters.lock)
        self._queue: deque[SpanData] = deque()
        self._queued_since = 0.0
        self._spool = Spool(self._limits.spool_bytes)
        # Spans, counted in the order in which `put` accepted them.
        self._accepted = self._encoded = self._settled = 0
        self._flush_until = 0
        """The last span that a flush waits for."""
        self._next_try = 0.0
        self._failures = 0
        self._deadline = NEVER
        """Time of the monotonic clock when the thread gives up; set by `close`."""
        self._thread = threading.Thread(
            target=self._run, name="trace-port", daemon=True
        )
        self._thread.start()

    # ---- any thread ----------------------------------------------------------

    def put(self, span: SpanData) -> None:
        """Take an ended span."""
        if self._pid != os.getpid():
            return  # A forked child: the thread and the connection are the parent's.
        with self._changed:
            self._counters.ended += 1
            if self._is_closing:
                self._counters.dropped[DropReason.SHUTDOWN] += 1
            elif len(self._queue) >= self._limits.queue_spans:
                self._counters.dropped[DropReason.QUEUE] += 1
            else:
                self._accepted += 1
                self._queue.append(span)
                if len(self._queue) == 1:
                    self._queued_since = time.monotonic()
                    self._changed.notify_all()
                elif len(self._queue) == self._limits.batch_spans:
                    self._changed.notify_all()

    def flush(self, timeout: float) -> bool:
        """Wait until all spans taken so far are delivered or dropped.

        Blocks for up to `timeout` seconds; returns False if that was too short.
        """
        with self._changed:
            target = self._accepted
            self._flush_until = target
            self._next_try = 0.0
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._settled >= target, timeout)

    def close(self, timeout: float) -> bool:
        """Flush, end the thread, and drop and count the spans that are left.

        Blocks for up to `timeout` seconds and `ABORT_TIMEOUT`; returns False if spans
        were dropped for lack of time.
        """
        with self._changed:
            if self._is_closing:
                return True
            self._deadline = time.monotonic() + timeout
            self._next_try = 0.0
            self._changed.notify_all()
        self._thread.join(timeout)
        with self._changed:
            left = self._accepted - self._settled
            self._drop(left, DropReason.SHUTDOWN)
            self._queue.clear()
            self._spool.clear()
        if self._thread.is_alive():
            # The thread waits for a collector that does not answer.
            self._collector.abort()
            self._thread.join(ABORT_TIMEOUT)
        return left == 0

    # ---- the sender thread ---------------------------------------------------

    def _run(self) -> None:
        try:
            while self._wait_for_work():
                self._encode_queue()
                self._deliver_oldest()
        finally:
            self._collector.close()

    def _wait_for_work(self) -> bool:
        """Wait for a batch to encode or to deliver; return False at the end."""
        with self._changed:
            while True:
                now = time.monotonic()
                done = self._settled == self._accepted
                if self._is_closing and (done or now >= self._deadline):
                    return False
                wake = min(self._encode_at(now), self._deliver_at(), self._deadline)
                if wake <= now:
                    return True
                self._changed.wait(None if wake == NEVER else wake - now)

    def _encode_queue(self) -> None:
        while spans := self._take_spans():
            for batch in self._encoder.encode(spans):
                self._store(batch)

    def _take_spans(self) -> list[SpanData]:
        """Return the spans of the next batch, none if the batch is to wait for more."""
        with self._changed:
            now = time.monotonic()
            if self._encode_at(now) > now:
                return []
            count = min(len(self._queue), self._limits.batch_spans)
            self._queued_since = now
            self._encoded += count
            return [self._queue.popleft() for _ in range(count)]

    def _store(self, batch: Batch | None) -> None:
        """Spool a batch; None is a span that cannot be encoded."""
        with self._changed:
            if self._is_over:
                return
            if batch is None:
                self._drop(1, DropReason.ENCODE)
            elif lost := self._spool.add(batch):
                self._drop(lost, DropReason.SPOOL)

    def _deliver_oldest(self) -> None:
        with self._changed:
            now = time.monotonic()
            batch = self._spool.oldest
            if batch is None or now < self._next_try:
                return
            timeout = min(self._limits.timeout, self._deadline - now)
        try:
            response = self._collector.post(batch.body, timeout)
        except (OSError, HttpError) as error:
            self._postpone(error)
        else:
            if response.outcome is Outcome.TRY_AGAIN:
                self._postpone(response)
            else:
                self._settle(batch, response)

    def _postpone(self, reason: Exception | CollectorResponse) -> None:
        """Keep the batch for another attempt."""
        with self._changed:
            if self._is_over:
                return
            pause = backoff(
                self._failures,
                first=self._limits.backoff_first,
                last=self._limits.backoff_last,
            )
            if isinstance(reason, CollectorResponse):
                self._counters.throttled += 1
                pause = reason.retry_after or pause
            else:
                self._counters.send_errors += 1
            self._next_try = time.monotonic() + pause
            self._failures += 1
            is_first = self._failures == 1
        if is_first:
            text = reason.status if isinstance(reason, CollectorResponse) else reason
            log.warning("trace port: not delivered, trying again: %s", text)

    def _settle(self, batch: Batch, response: CollectorResponse) -> None:
        """Forget a batch that the collector has taken or refused."""
        with self._changed:
            if self._is_over:
                return
            failures, self._failures = self._failures, 0
            self._spool.pop()
            self._next_try = 0.0
            if response.outcome is Outcome.TAKEN:
                rejected = min(response.rejected, batch.spans)
                self._drop(rejected, DropReason.REJECTED)
                self._counters.sent += batch.spans - rejected
                self._settled += batch.spans - rejected
                self._changed.notify_all()
            else:
                self._drop(batch.spans, DropReason.REFUSED)
        if failures:
            log.info("trace port: delivering again")
        if response.outcome is Outcome.REFUSED:
            log.warning(
                "trace port: batch refused",
                extra={"status": response.status, "spans": batch.spans},
            )

    # ---- with the lock held --------------------------------------------------

    @property
    def _is_closing(self) -> bool:
        return self._deadline != NEVER

    @property
    def _is_over(self) -> bool:
        """Tell whether `close` has counted all spans already."""
        return self._is_closing and self._settled == self._accepted

    def _encode_at(self, now: float) -> float:
        if not self._queue:
            return NEVER
        if (
            len(self._queue) >= self._limits.batch_spans
            or self._is_closing
            or self._flush_until > self._encoded
        ):
            return now
        return self._queued_since + self._limits.batch_delay

    def _deliver_at(self) -> float:
        return NEVER if self._spool.oldest is None else self._next_try

    def _drop(self, spans: int, reason: DropReason) -> None:
        self._counters.dropped[reason] += spans
        self._settled += spans
        self._changed.notify_all()
