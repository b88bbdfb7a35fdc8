# SPDX-License-Identifier: Apache-2.0
"""The point in time by which a call must have ended.

Requests carry only the time that remains, in nanoseconds.
"""

from __future__ import annotations

import math
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
        nano = min((self.at - now) * NANO, INT64_MAX)
        return min(max(round(nano), 1), INT64_MAX)


def checked_timeout(name: str, timeout: float | None) -> float | None:
    """Return a number of seconds; None if there is no limit, as for infinity.

    Raises:
        ValueError: `timeout` is negative or not a number; the text has its `name`.
    """
    if timeout is None or timeout == math.inf:
        return None
    if not timeout >= 0:
        raise ValueError(f"{name} {timeout}: neither 0 nor a positive number")
    return timeout
