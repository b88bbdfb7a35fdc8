# SPDX-License-Identifier: Apache-2.0
"""A process whose parent is the agent, watched by its pidfd."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable
from typing import Final

from kata_agent.blocking import uninterrupted
from kata_agent.dying import PAUSES
from kata_agent.exit_watch import ExitWatch
from kata_agent.linux.process_tree import kill_tree

log = logging.getLogger(__name__)


class Child:
    """One process, from its birth or adoption to its exit code."""

    __slots__ = ("_exit", "_exits", "_leads_session", "_on_reaped", "_pidfd", "pid")

    def __init__(
        self,
        pid: int,
        pidfd: int,
        exits: ExitWatch,
        on_reaped: Callable[[Child], None],
        *,
        leads_session: bool = False,
    ) -> None:
        """Own `pidfd`; -1 means that the process has exited: call `ended` next.

        `on_reaped` is called when the kernel may use the pid again. If a process that
        `leads_session` fails, the rest of its process group is killed.
        """
        self.pid: Final = pid
        self._exits = exits
        self._on_reaped = on_reaped
        self._exit: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._pidfd = pidfd
        self._leads_session = leads_session
        if pidfd >= 0:
            exits.add(pidfd, self.poll)

    @property
    def exit_code(self) -> int | None:
        """The exit code, 128+n after signal n, or None while it runs."""
        return self._exit.result() if self._exit.done() else None

    async def wait(self) -> int:
        """Return the exit code; any number of callers may wait, and stop waiting."""
        if self._exit.done():
            # The callbacks of `on_exit` are served first.
            await asyncio.sleep(0)
        return await asyncio.shield(self._exit)

    async def wait_or_kill(self) -> int:
        """Return the exit code; for the one caller that the process works for.

        A caller that is cancelled takes the process and its descendants with it, and
        leaves when the process has ended. So has the rest of its process group, if the
        process `leads_session` and has failed.
        """
        try:
            exit_code = await self.wait()
        except asyncio.CancelledError:
            await self.kill_tree()
            await self.wait()
            await self._wait_for_group()
            raise
        if exit_code != 0:
            await self._wait_for_group()
        return exit_code

    async def _wait_for_group(self) -> None:
        """Wait a moment until no process is left in the group, which was killed.

        A process that is killed finishes its system call first: a runtime's may make a
        cgroup after those that there are were removed.
        """
        if not self._leads_session:
            return
        for pause in PAUSES:
            try:
                os.killpg(self.pid, 0)
            except ProcessLookupError:
                return
            await asyncio.sleep(pause)

    async def kill_tree(self) -> None:
        """Kill the process and its descendants, unless it has ended.

        In a guest that has run out of descriptors or threads, descendants that have
        left the process group may stay.
        """
        if self._pidfd < 0:
            return
        try:
            # One of the thread's own, because the process may be reaped meanwhile.
            pidfd = os.dup(self._pidfd)
        except OSError as error:
            _log_incomplete(self.pid, error)
            self.send_signal(signal.SIGKILL)
            return
        try:
            # There may be thousands.
            await uninterrupted(_kill_tree, self.pid, pidfd)
        except OSError:
            # No place for a thread.
            _kill_tree(self.pid, pidfd)

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
        if self._leads_session and not self._end_session():
            return
        result = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        if result is None:
            return
        self._stop_watching()
        self.ended(to_exit_code(result))

    def _end_session(self) -> bool:
        """Kill the process group if its leader has failed; tell whether it has ended.

        Until the leader is reaped, no other group can have its number.
        """
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        result = os.waitid(os.P_PIDFD, self._pidfd, flags)
        if result is not None and to_exit_code(result) != 0:
            os.killpg(self.pid, signal.SIGKILL)
        return result is not None

    def ended(self, exit_code: int) -> None:
        """Give the exit code to every waiter."""
        self._exit.set_result(exit_code)

    def _stop_watching(self) -> None:
        self._exits.remove(self._pidfd)
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


def _kill_tree(pid: int, pidfd: int) -> None:
    """Kill a process and its descendants, and close `pidfd`; log a failure."""
    try:
        kill_tree(pid, pidfd)
    except OSError as error:
        _log_incomplete(pid, error)
    finally:
        os.close(pidfd)


def _log_incomplete(pid: int, error: OSError) -> None:
    log.warning("descendants may stay", extra={"pid": pid, "error": str(error)})
