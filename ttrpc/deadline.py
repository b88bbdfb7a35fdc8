# SPDX-License-Identifier: Apache-2.0
"""The point in time by which a call must have ended.

Requests carry only the time that remains, in nanoseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

NANO: Final = 1_000_000_000
INT64_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, order=True)
class Deadline:
    """A point on the monotonic clock."""

    at: float
    """Seconds, on the clock of `time.monotonic` and of the event loop."""

    @classmethod
    def after(cls, timeout: float, *, now: float) -> Deadline:
        """Return the deadline `timeout` seconds after `now`."""
        return cls(now + timeout)

    @classmethod
    def from_timeout_nano(cls, timeout_nano: int, *, now: float) -> Deadline | None:
        """Return the deadline of a Request's `timeout_nano`, None for 0.

        A negative number is a deadline that has passed.
        """
        return cls(now + timeout_nano / NANO) if timeout_nano else None

    def remaining(self, now: float) -> float:
        """Return the seconds left; negative if the deadline has passed."""
        return self.at - now

    def timeout_nano(self, now: float) -> int:
        """Return the `timeout_nano` of a Request, at least 1.

        0 would mean that there is no deadline. Go sends a negative number after the
        deadline, which its server takes for expired and ttrpc-rust's for none; here the
        caller checks `remaining` before sending.
        """
        return min(max(round((self.at - now) * NANO), 1), INT64_MAX)
