# SPDX-License-Identifier: Apache-2.0
"""Closes the connections of a server whose peers have nothing to say any more."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from ttrpc.aio.server_session import ServerSession

CHECKS: Final = 4
"""Checks within the timeout: a connection is closed after the timeout, and before a
quarter more."""


class IdleWatch:
    """Looks at all connections of a server with one timer."""

    def __init__(self, timeout: float, sessions: Collection[ServerSession]) -> None:
        """Watch `sessions`, which the server adds to and removes from."""
        self._timeout = timeout
        self._sessions = sessions
        self._seen: dict[ServerSession, tuple[object, int]] = {}
        """What each session had to show at the last check, and at how many before."""
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Check from now on, until no session is left; harmless if started."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._timeout / CHECKS, self._check)

    def _check(self) -> None:
        before, self._seen = self._seen, {}
        for session in list(self._sessions):
            progress = session.progress
            last, checks = before.get(session, (None, 0))
            checks = checks + 1 if progress is not None and progress == last else 0
            if checks >= CHECKS:
                session.close(f"nothing came from the peer for {self._timeout:g} s")
            else:
                self._seen[session] = (progress, checks)
        self._timer = None
        if self._sessions:
            self.start()
