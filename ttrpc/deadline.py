# SPDX-License-Identifier: Apache-2.0
"""A deadline is a point in time; on the wire there is only the time that remains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NANO: Final = 1_000_000_000
INT64_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, order=True)
class Deadline:
    """The point on the monotonic clock by which a call must have ended."""

    at: float
    """Seconds, on the clock of `time.monotonic` and of the event loop."""

    @classmethod
    def after(cls, timeout: float, *, now: float) -> Deadline:
        return cls(now + timeout)

    @classmethod
    def from_timeout_nano(cls, timeout_nano: int, *, now: float) -> Deadline | None:
        """Read the wire's `timeout_nano`: 0 is no deadline, less has passed already."""
        return cls(now + timeout_nano / NANO) if timeout_nano else None

    def remaining(self, now: float) -> float:
        """Return the seconds left, negative when it has passed."""
        return self.at - now

    def timeout_nano(self, now: float) -> int:
        """Return what to put on the wire.

        Never 0, which would mean no deadline, and never less: that a deadline has
        passed is for the caller to see before sending (Go sends a negative
        number, which its server takes for expired and ttrpc-rust's for none).
        """
        return min(max(round((self.at - now) * NANO), 1), INT64_MAX)
