# SPDX-License-Identifier: Apache-2.0
"""Warnings that a guest can cause at will: none of them fills the host's log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

INTERVAL: Final = 60.0
"""Seconds from a line to the next one of the same kind."""
KINDS: Final = 256
"""Kinds that are told apart; all others share one line."""
_OTHERS: Final = ("", "")


@dataclass(slots=True)
class _Logged:
    until: float
    """The time from which the next line is logged."""
    more: int = 0
    """Lines of this kind that were not."""


class LogLimit:
    """Logs the first warning of a kind at once, and later ones as a count."""

    def __init__(
        self,
        log: logging.Logger,
        *,
        interval: float = INTERVAL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._interval = interval
        self._clock = clock
        self._kinds: dict[tuple[str, str], _Logged] = {}

    def warning(self, message: str, *args: object, cause: str = "") -> None:
        """Log a warning, unless an interval has one with this `message` and `cause`.

        `cause` tells guests apart, so that one guest does not hide the next. The first
        line of the next interval says how many were left out.
        """
        now = self._clock()
        kind = self._kind((message, cause), now)
        before = self._kinds.get(kind)
        if before is not None and now < before.until:
            before.more += 1
            return
        self._kinds[kind] = _Logged(now + self._interval)
        if before is not None and before.more:
            message, args = f"{message} (%d more since the last)", (*args, before.more)
        self._log.warning(message, *args, stacklevel=2)

    def _kind(self, kind: tuple[str, str], now: float) -> tuple[str, str]:
        if kind in self._kinds or len(self._kinds) < KINDS:
            return kind
        for old, logged in list(self._kinds.items()):
            if now >= logged.until and not logged.more:
                del self._kinds[old]
        return kind if len(self._kinds) < KINDS else _OTHERS
