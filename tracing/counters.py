# SPDX-License-Identifier: Apache-2.0
"""Counts of spans: every span is counted exactly once.

ended == sent + sum(dropped) + pending
"""

from __future__ import annotations

import enum
import threading
from dataclasses import dataclass, field


class DropReason(enum.StrEnum):
    """Why a span was dropped."""

    QUEUE = "queue"
    """The queue was full, because spans ended faster than they are encoded."""
    ENCODE = "encode"
    """The span cannot be encoded."""
    SPOOL = "spool"
    """Its batch was the oldest when the spool was full: the collector was away for
    too long."""
    REFUSED = "refused"
    """The collector refused the batch (a 4xx)."""
    REJECTED = "rejected"
    """The collector took the batch but not this span (OTLP partial success)."""
    SHUTDOWN = "shutdown"
    """Tracing stopped before the span could be delivered."""


@dataclass(slots=True)
class Counters:
    """Totals since the agent's start, over all times that tracing was on."""

    ended: int = 0
    """Spans that ended while tracing was on."""
    sent: int = 0
    """Spans that the collector took."""
    dropped: dict[DropReason, int] = field(
        default_factory=lambda: dict.fromkeys(DropReason, 0)
    )
    send_errors: int = 0
    """Deliveries without a response: refused connections, timeouts, not HTTP."""
    throttled: int = 0
    """Deliveries answered by "try again later" (408, 429, 502, 503, 504)."""
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    """Hold it to count. Here rather than in the trace port, because a span may end
    late, on a port that was closed, while the next port counts already."""

    @property
    def pending(self) -> int:
        """Spans in the queue and in the spool."""
        return self.ended - self.sent - sum(self.dropped.values())

    def copy(self) -> Counters:
        """Return the numbers of this moment."""
        with self.lock:
            return Counters(
                ended=self.ended,
                sent=self.sent,
                dropped=dict(self.dropped),
                send_errors=self.send_errors,
                throttled=self.throttled,
            )

    def to_log(self) -> dict[str, int]:
        """Return the numbers under the names that log lines use."""
        counts = {
            "spans_ended": self.ended,
            "spans_sent": self.sent,
            "spans_pending": self.pending,
            "send_errors": self.send_errors,
            "throttled": self.throttled,
        }
        drops = {f"dropped_{reason}": n for reason, n in self.dropped.items() if n}
        return counts | drops
