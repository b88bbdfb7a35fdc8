# SPDX-License-Identifier: Apache-2.0
"""The trace port's inner side: takes ended spans at once, delivers them in time.

    put() -> queue of data -> [sender thread: SDK's spans, encode] -> spool -> collector

`put` is called where a call is being served, so it does no I/O and never waits:
it appends to a bounded queue. One thread encodes early (a span weighs 1 kB, its
encoding 0.3) and keeps each batch until the collector has answered. What does not
fit is dropped and counted, never waited for.

OpenTelemetry's own batch processor is not used: it forgets a batch that failed
once, blocks shutdown for up to 30 s, and starts a thread in every forked child,
where `setns` then fails with EINVAL.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kata_tracing.collector import Answer, Collector, Connect, Outcome
from kata_tracing.counters import Counters, Reason
from kata_tracing.data import SpanData
from kata_tracing.encoding.encoding import Encoding
from kata_tracing.http1 import HttpError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

log = logging.getLogger(__name__)

NEVER: Final = float("inf")
ABORT_TIMEOUT: Final = 0.1
"""Seconds for the thread to notice; only a connect cannot be broken off."""


@dataclass(frozen=True, slots=True)
class Limits:
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


@dataclass(frozen=True, slots=True)
class _Batch:
    body: bytes
    spans: int


class TracePort:
    """Delivers spans to the collector, from a thread of its own."""

    def __init__(
        self,
        connect: Connect,
        encoding: Encoding,
        translate: Callable[[SpanData], ReadableSpan],
        *,
        counters: Counters | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._collector = Collector(connect, encoding)
        self._encoding = encoding
        self._translate = translate
        self._limits = limits or Limits()
        self._counters = counters or Counters()
        self._pid = os.getpid()
        # Guards all that follows; held for a few assignments, never for I/O.
        self._changed = threading.Condition(self._counters.lock)
        self._queue: deque[SpanData] = deque()
        self._queued_since = 0.0
        self._spool: deque[_Batch] = deque()
        self._spool_bytes = 0
        self._accepted = self._encoded = self._settled = 0
        self._flush_until = 0
        """Spans, counted in the order accepted, that somebody waits for."""
        self._next_try = 0.0
        self._failures = 0
        self._deadline = NEVER
        """When to give up; set by `close`."""
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
            if self._closing:
                self._counters.dropped[Reason.SHUTDOWN] += 1
            elif len(self._queue) >= self._limits.queue_spans:
                self._counters.dropped[Reason.QUEUE] += 1
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

        Blocks for up to `timeout` seconds; returns False when that was too short.
        """
        with self._changed:
            target = self._accepted
            self._flush_until = target
            self._next_try = 0.0
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._settled >= target, timeout)

    def close(self, timeout: float) -> bool:
        """Flush, then end the thread; what is left then is dropped and counted.

        Blocks for up to `timeout` seconds; returns False when spans were dropped
        for lack of time.
        """
        with self._changed:
            if self._closing:
                return True
            self._deadline = time.monotonic() + timeout
            self._next_try = 0.0
            self._changed.notify_all()
        self._thread.join(timeout)
        with self._changed:
            left = self._accepted - self._settled
            self._drop(left, Reason.SHUTDOWN)
            self._queue.clear()
            self._spool.clear()
            self._spool_bytes = 0
        if self._thread.is_alive():
            # It waits for a collector that does not answer.
            self._collector.abort()
            self._thread.join(ABORT_TIMEOUT)
        return left == 0

    # ---- the sender thread ---------------------------------------------------

    def _run(self) -> None:
        try:
            while self._wait_for_work():
                self._encode_batches()
                self._deliver_oldest()
        finally:
            self._collector.close()

    def _wait_for_work(self) -> bool:
        """Wait for a batch to encode or to deliver; False when all is over."""
        with self._changed:
            while True:
                now = time.monotonic()
                done = self._settled == self._accepted
                if self._closing and (done or now >= self._deadline):
                    return False
                wake = min(self._encode_at(now), self._deliver_at(), self._deadline)
                if wake <= now:
                    return True
                self._changed.wait(None if wake == NEVER else wake - now)

    @property
    def _closing(self) -> bool:
        return self._deadline != NEVER

    def _encode_at(self, now: float) -> float:
        if not self._queue:
            return NEVER
        if (
            len(self._queue) >= self._limits.batch_spans
            or self._closing
            or self._flush_until > self._encoded
        ):
            return now
        return self._queued_since + self._limits.batch_delay

    def _deliver_at(self) -> float:
        return self._next_try if self._spool else NEVER

    def _encode_batches(self) -> None:
        while spans := self._take_batch():
            for batch in self._encode(spans):
                self._store(batch)

    def _take_batch(self) -> list[SpanData]:
        with self._changed:
            now = time.monotonic()
            if self._encode_at(now) > now:
                return []
            count = min(len(self._queue), self._limits.batch_spans)
            self._queued_since = now
            self._encoded += count
            return [self._queue.popleft() for _ in range(count)]

    def _encode(self, spans: Sequence[SpanData]) -> Iterator[_Batch]:
        """Encode; halve what is too large, or has a span that cannot be encoded."""
        try:
            body = self._encoding.encode([self._translate(it) for it in spans])
        except Exception as error:
            if len(spans) == 1:
                log.warning("a span cannot be encoded: %s", type(error).__name__)
                with self._changed:
                    if not self._is_over:
                        self._drop(1, Reason.ENCODE)
                return
        else:
            if len(body) <= self._limits.batch_bytes or len(spans) == 1:
                yield _Batch(body, len(spans))
                return
        middle = len(spans) // 2
        yield from self._encode(spans[:middle])
        yield from self._encode(spans[middle:])

    def _store(self, batch: _Batch) -> None:
        with self._changed:
            if self._is_over:
                return
            self._spool.append(batch)
            self._spool_bytes += len(batch.body)
            while self._spool_bytes > self._limits.spool_bytes:
                self._drop(self._unspool().spans, Reason.SPOOL)

    def _deliver_oldest(self) -> None:
        with self._changed:
            now = time.monotonic()
            if not self._spool or now < self._next_try:
                return
            batch = self._spool[0]
            timeout = min(self._limits.timeout, self._deadline - now)
        try:
            answer = self._collector.post(batch.body, timeout)
        except (OSError, HttpError) as error:
            self._postpone(error)
        else:
            if answer.outcome is Outcome.TRY_AGAIN:
                self._postpone(answer)
            else:
                self._settle(batch, answer)

    def _postpone(self, reason: Exception | Answer) -> None:
        """Keep the batch: there was no answer, or one that says to come again."""
        with self._changed:
            if self._is_over:
                return
            pause = backoff(self._failures, self._limits)
            if isinstance(reason, Answer):
                self._counters.throttled += 1
                pause = reason.retry_after or pause
            else:
                self._counters.send_errors += 1
            self._next_try = time.monotonic() + pause
            self._failures += 1
            first = self._failures == 1
        if first:
            text = reason.status if isinstance(reason, Answer) else reason
            log.warning("trace port: not delivered, trying again: %s", text)

    def _settle(self, batch: _Batch, answer: Answer) -> None:
        with self._changed:
            if self._is_over:
                return
            recovered, self._failures = self._failures, 0
            self._unspool()
            self._next_try = 0.0
            if answer.outcome is Outcome.TAKEN:
                rejected = min(answer.rejected, batch.spans)
                self._drop(rejected, Reason.REJECTED)
                self._counters.sent += batch.spans - rejected
                self._settled += batch.spans - rejected
                self._changed.notify_all()
            else:
                self._drop(batch.spans, Reason.REFUSED)
        if recovered:
            log.info("trace port: delivering again")
        if answer.outcome is Outcome.REFUSED:
            log.warning(
                "trace port: batch refused",
                extra={"status": answer.status, "spans": batch.spans},
            )

    # ---- with the lock held --------------------------------------------------

    @property
    def _is_over(self) -> bool:
        """Tell whether `close` has counted everything already."""
        return self._closing and self._settled == self._accepted

    def _unspool(self) -> _Batch:
        batch = self._spool.popleft()
        self._spool_bytes -= len(batch.body)
        return batch

    def _drop(self, spans: int, reason: Reason) -> None:
        self._counters.dropped[reason] += spans
        self._settled += spans
        self._changed.notify_all()


def backoff(failures: int, limits: Limits) -> float:
    """Return the pause after so many failures in a row, with jitter.

    The jitter is the kernel's: clones of one VM snapshot share the state of
    module `random` and would come back all at once.
    """
    pause = min(limits.backoff_last, limits.backoff_first * 2.0 ** min(failures, 20))
    return pause * (0.5 + os.urandom(1)[0] / 510)
