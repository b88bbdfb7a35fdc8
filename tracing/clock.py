# SPDX-License-Identifier: Apache-2.0
"""Time stamps that a step of the clock cannot turn around.

A span takes the distance between the wall clock and the monotonic one when its
trace begins in this process, and stamps both its ends by the monotonic one. So
`SetGuestDateTime` moves later traces, and no duration becomes negative.
"""

from __future__ import annotations

import time


def wall_offset() -> int:
    """Return the wall clock minus the monotonic one, in nanoseconds."""
    return time.time_ns() - time.monotonic_ns()


def now(offset: int) -> int:
    """Return the time since the epoch, in nanoseconds, by an offset taken before."""
    return time.monotonic_ns() + offset
