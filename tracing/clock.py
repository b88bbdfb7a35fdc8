# SPDX-License-Identifier: Apache-2.0
"""Time stamps that no step of the wall clock can put out of order.

A trace takes the distance between the wall clock and the monotonic clock once, when
it begins in this process, and stamps all its spans by the monotonic clock and that
distance. So `SetGuestDateTime` moves later traces, and no duration becomes negative.
"""

from __future__ import annotations

import time


def wall_offset() -> int:
    """Return the wall clock minus the monotonic clock, in nanoseconds."""
    return time.time_ns() - time.monotonic_ns()


def now(offset: int) -> int:
    """Return the time since the epoch in nanoseconds, by an earlier `wall_offset`."""
    return time.monotonic_ns() + offset
