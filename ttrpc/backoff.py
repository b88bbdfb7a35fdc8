# SPDX-License-Identifier: Apache-2.0
"""How long to wait before trying again."""

from __future__ import annotations

from typing import Final

ATTEMPT_TIMEOUT: Final = 10.0
"""Seconds for one attempt: a VMM whose guest is not up may never answer it."""


class Backoff:
    """Pauses that double from the first to the last."""

    __slots__ = ("_first", "_last", "pause")

    def __init__(self, first: float, last: float) -> None:
        self._first = first
        self._last = last
        self.pause = first
        """Seconds to wait before the next attempt."""

    def failed(self) -> None:
        """The attempt failed too: wait longer the next time."""
        self.pause = min(2 * self.pause, self._last)

    def succeeded(self) -> None:
        self.pause = self._first


def dial_backoff() -> Backoff:
    """Return the pauses between attempts to reach a server that is starting.

    Short enough not to be noticed when a guest boots, long enough not to be
    noticed by the guest that does.
    """
    return Backoff(0.01, 0.2)


def attempt_timeout(timeout: float | None, remaining: float) -> float:
    """Return the seconds for one attempt, of those that remain for all of them.

    With no time for more than one, that one has what an attempt may have.
    """
    return ATTEMPT_TIMEOUT if timeout is None else min(remaining, ATTEMPT_TIMEOUT)
