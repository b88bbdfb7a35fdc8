# SPDX-License-Identifier: Apache-2.0
"""The guest's clock, which the host sets after the guest has slept or been restored."""

from __future__ import annotations

import time
from typing import Final

from kata_agent.errors import InvalidArgument

MICROSECONDS: Final = 1_000_000


def set_time(seconds: int, microseconds: int) -> None:
    """Set the time of day, as the time since 1970 (man 2 clock_settime).

    Raises `InvalidArgument`, or `OSError` without CAP_SYS_TIME.
    """
    if seconds < 0 or not 0 <= microseconds < MICROSECONDS:
        raise InvalidArgument(f"time {seconds} s, {microseconds} us: out of range")
    try:
        time.clock_settime_ns(
            time.CLOCK_REALTIME, seconds * 10**9 + microseconds * 1000
        )
    except OverflowError as error:
        raise InvalidArgument(
            f"time {seconds} s: later than the clock can tell"
        ) from error
