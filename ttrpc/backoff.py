# SPDX-License-Identifier: Apache-2.0
"""Pauses between attempts."""

from __future__ import annotations

from typing import Final

ATTEMPT_TIMEOUT: Final = 10.0
"""Seconds for one attempt, because a VMM may never answer while its guest boots."""


class Backoff:
    """Pauses in seconds that double from `first` up to `last`."""

    __slots__ = ("_first", "_last", "pause")

    def __init__(self, first: float, last: float) -> None:
        self._first = first
        self._last = last
        self.pause = first
        """Seconds to wait before the next attempt."""

    def failed(self) -> None:
        """Make the next pause longer, because another attempt failed."""
        self.pause = min(2 * self.pause, self._last)

    def succeeded(self) -> None:
        """Start again with the first pause."""
        self.pause = self._first


def dial_backoff() -> Backoff:
    """Return the pauses between attempts to reach a server that is starting.

    The pauses are short next to the boot of a guest, and long enough not to slow it
    down.
    """
    return Backoff(0.01, 0.2)


def attempt_timeout(timeout: float | None, remaining: float) -> float:
    """Return the seconds for one attempt.

    `timeout` is the time for all attempts and `remaining` the rest of it. Without
    a timeout there is one attempt, which has ATTEMPT_TIMEOUT.
    """
    return ATTEMPT_TIMEOUT if timeout is None else min(remaining, ATTEMPT_TIMEOUT)
