# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from typing import Any, cast

from ttrpc.aio.idle_watch import CHECKS, IdleWatch


class Session:
    """Has the progress that the test sets; tells of its end."""

    def __init__(self, *progress: object) -> None:
        self._progress = list(progress)
        self.checks = 0
        self.closed = asyncio.Event()
        self.reason = ""

    @property
    def progress(self) -> object:
        self.checks += 1
        return self._progress.pop(0) if self._progress[1:] else self._progress[0]

    def close(self, reason: str) -> None:
        self.reason = reason
        self.closed.set()


def watch(*sessions: Session) -> tuple[IdleWatch, set[Any]]:
    watched = set(sessions)
    return IdleWatch(0.02, cast(Any, watched)), watched


async def test_a_session_without_progress_is_closed_after_the_time() -> None:
    idle, moving = Session((1, 1)), Session((1, 1), (1, 2), 2, (3, 2))
    check, sessions = watch(idle, moving)
    check.start()
    check.start()
    await idle.closed.wait()
    assert idle.reason == "nothing came from the peer for 0.02 s"
    assert idle.checks == CHECKS + 1
    sessions.discard(idle)
    await moving.closed.wait()
    assert moving.checks == 3 + CHECKS + 1
    sessions.clear()


async def test_a_session_that_may_wait_is_kept() -> None:
    waiting, idle = Session(None), Session(*range(2 * CHECKS))
    check, sessions = watch(waiting, idle)
    check.start()
    await idle.closed.wait()
    assert not waiting.closed.is_set()
    sessions.clear()


async def test_it_starts_again_with_the_next_session() -> None:
    check, sessions = watch()
    first, second = Session(1), Session(1)
    for session in (first, second):
        sessions.add(session)
        check.start()
        await session.closed.wait()
        sessions.clear()
