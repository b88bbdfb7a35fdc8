# SPDX-License-Identifier: Apache-2.0
"""The point in time by which a call must have ended.

Requests carry only the time that remains, in nanoseconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

NANO: Final = 1_000_000_000
INT64_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, order=True)
class Deadline:
    """A point on a monotonic clock.

        deadline = Deadline.after(5, clock=time.monotonic)

    Deadlines can be compared; the smaller one comes first.
    """

    at: float
    """Seconds, on the clock of `time.monotonic`; event loops have the same."""
    clock: Callable[[], float] = field(repr=False, compare=False)
    """Returns the time now. The core has no clock of its own."""

    @classmethod
    def after(cls, timeout: float, *, clock: Callable[[], float]) -> Deadline:
        """Return the deadline `timeout` seconds from now."""
        return cls(clock() + timeout, clock)

    @classmethod
    def from_timeout_nano(
        cls, timeout_nano: int, *, clock: Callable[[], float]
    ) -> Deadline | None:
        """Return the deadline of a Request's `timeout_nano`, None for 0.

        A negative number is a deadline that has passed.
        """
        return cls(clock() + timeout_nano / NANO, clock) if timeout_nano else None

    def remaining(self) -> float:
        """Return the seconds left; negative if the deadline has passed."""
        return self.at - self.clock()

    def timeout_nano(self) -> int:
        """Return the `timeout_nano` of a Request, at least 1.

        0 would mean that there is no deadline. Go sends a negative number after the
        deadline, which its server takes for expired and ttrpc-rust's for none; here the
        caller checks `remaining` before sending.
        """
        nano = min(self.remaining() * NANO, INT64_MAX)
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


def checked_period(name: str, seconds: float | None) -> float | None:
    """Return a number of seconds that is more than 0; None if it never ends.

    Raises:
        ValueError: `seconds` is not a positive number; the text has its `name`.
    """
    seconds = checked_timeout(name, seconds)
    if seconds == 0:
        raise ValueError(f"{name} 0: not a positive number")
    return seconds


def checked_deadline(deadline: Deadline) -> Deadline | None:
    """Return a deadline that a caller gave; None if it never comes.

    Raises:
        TypeError: `deadline` is not a Deadline.
        ValueError: its time is not a number.
    """
    if not isinstance(deadline, Deadline):
        kind = type(deadline).__name__
        raise TypeError(f"deadline: {kind} is not a ttrpc.Deadline")
    if math.isnan(deadline.at):
        raise ValueError("deadline: not a number")
    return None if deadline.at == math.inf else deadline
