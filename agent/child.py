# SPDX-License-Identifier: Apache-2.0
"""A process whose parent is the agent, watched by its pidfd."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Final


class Child:
    """One process, from its birth or adoption to its exit code."""

    __slots__ = ("_exit", "_loop", "_on_reaped", "_pidfd", "pid")

    def __init__(
        self,
        pid: int,
        pidfd: int,
        loop: asyncio.AbstractEventLoop,
        on_reaped: Callable[[Child], None],
    ) -> None:
        """Own `pidfd`; -1 means that the process has exited: call `ended` next.

        `on_reaped` is called when the kernel may use the pid again.
        """
        self.pid: Final = pid
        self._loop = loop
        self._on_reaped = on_reaped
        self._exit: asyncio.Future[int] = loop.create_future()
        self._pidfd = pidfd
        if pidfd >= 0:
            loop.add_reader(pidfd, self.poll)

    @property
    def exit_code(self) -> int | None:
        """The exit code, 128+n after signal n, or None while it runs."""
        return self._exit.result() if self._exit.done() else None

    async def wait(self) -> int:
        """Return the exit code; any number of callers may wait, and stop waiting."""
        return await asyncio.shield(self._exit)

    def on_exit(self, callback: Callable[[int], None]) -> None:
        """Call `callback` with the exit code, one turn of the loop after the exit."""

        def report(exit: asyncio.Future[int]) -> None:
            # Cancelled once the child is abandoned.
            if not exit.cancelled():
                callback(exit.result())

        self._exit.add_done_callback(report)

    def send_signal(self, number: int) -> None:
        """Send signal `number`. Raises `ProcessLookupError` once it has ended."""
        if self._pidfd < 0:
            raise ProcessLookupError(f"process {self.pid} has ended")
        signal.pidfd_send_signal(self._pidfd, number)

    def poll(self) -> None:
        """Collect the exit code if there is one."""
        if self._pidfd < 0:
            return
        result = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        if result is None:
            return
        self._stop_watching()
        self.ended(to_exit_code(result))

    def ended(self, exit_code: int) -> None:
        """Give the exit code to every waiter."""
        self._exit.set_result(exit_code)

    def _stop_watching(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1
        self._on_reaped(self)

    def abandon(self) -> None:
        """Stop watching and cancel the waiters, because the loop ends."""
        if self._pidfd >= 0:
            self._stop_watching()
            self._exit.cancel()


def to_exit_code(result: os.waitid_result) -> int:
    """Return the exit code of a result of waitid, 128+n after signal n."""
    if result.si_code == os.CLD_EXITED:
        return result.si_status
    return 128 + result.si_status
