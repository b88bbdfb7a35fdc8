# SPDX-License-Identifier: Apache-2.0
"""The parent of every process in the guest: starts, waits for and reaps them.

Each child that the agent needs is waited for by its own pidfd. As long as a child has
not been waited for, its pid cannot be used again, so there is no race between the
report of a pid and its registration.

A process that the kernel reparents to the agent, and that is not registered, is an
*orphan*. Orphans are reaped too: the zombie of a failed `crun exec`, for example, lives
in the container's pid namespace, and the kernel reports the exit of that namespace's
PID 1 only after the zombie is reaped. SIGCHLD is only the hint to look.

While the OCI runtime starts a process, an orphan may be that very process, whose pid
the runtime is about to report. The exit codes of orphans are therefore kept for that
long (`expecting`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Final, Self

from kata_agent.child import Child, to_exit_code
from kata_agent.completed import Completed
from kata_agent.drain import drained_pipe
from kata_agent.errors import NotFound, Timeout
from kata_agent.exit_watch import ExitWatch
from kata_agent.linux.memory_file import memory_file
from kata_agent.linux.pidfd import open_pidfd
from kata_agent.linux.prctl import set_child_subreaper
from kata_agent.linux.spawn import Command, spawn
from kata_tracing import semconv
from kata_tracing.span import span

log = logging.getLogger(__name__)

OUTPUT_LIMIT: Final = 4 << 20
"""Bytes of a helper program's stdout, and of its stderr, that `run` returns at most:
the last ones."""
SWEEP: Final = 32
"""Zombies that are reaped in one turn of the loop, of some 60 µs each."""
PAUSE: Final = 0.002
"""Seconds between two such turns. An agent that works all the time while thousands end
uses up its part of the CPU, and its calls wait until the others have had theirs."""


class Reaper:
    """Owns every child. Made in the running loop; a context manager."""

    def __init__(self) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self._children: dict[int, Child] = {}
        self._expecting = 0
        self._orphans: dict[int, int] = {}
        self._found_orphans = False
        self._orphans_ended: Callable[[], None] | None = None
        self._closed = False
        self._exits: Final = ExitWatch()
        self._is_sweeping = False
        set_child_subreaper()
        self._loop.add_signal_handler(signal.SIGCHLD, self.sweep)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop reaping. Children that still run stay as they are."""
        self._closed = True
        # Nobody would reap orphans that come from now on.
        set_child_subreaper(on=False)
        self._loop.remove_signal_handler(signal.SIGCHLD)
        for child in list(self._children.values()):
            child.abandon()
        self._exits.close()

    def spawn(self, command: Command) -> Child:
        """Start a program. Raises `NotFound` if there is none of that name."""
        # The number of the pidfd is taken first, because a program that cannot be
        # watched would have to be killed half-way.
        place = os.open("/", os.O_PATH | os.O_CLOEXEC)
        try:
            pid = spawn(command)
        except FileNotFoundError as error:
            raise NotFound(f"program {command.executable!r}: not found") from error
        finally:
            os.close(place)
        return self._watch(pid, _pidfd_of(pid), leads_session=command.new_session)

    def adopt(self, pid: int) -> Child:
        """Register a child of the agent, or an orphan that was reaped just now.

        Raises `ProcessLookupError` for any other pid, and `OSError` for a child that
        cannot be watched, which is killed.
        """
        if pid in self._orphans:
            child = Child(pid, -1, self._exits, self._forget)
            child.ended(self._orphans.pop(pid))
            return child
        if pid in self._children:
            raise ProcessLookupError(f"process {pid} is known already")
        try:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError as error:
            raise ProcessLookupError(f"process {pid} is no child") from error
        return self._watch(pid, _pidfd_of(pid))

    def _watch(self, pid: int, pidfd: int, *, leads_session: bool = False) -> Child:
        try:
            child = Child(
                pid, pidfd, self._exits, self._forget, leads_session=leads_session
            )
        except OSError:
            # The kernel has no memory for one more watch, and nobody owns the child.
            os.close(pidfd)
            os.kill(pid, signal.SIGKILL)
            raise
        self._children[pid] = child
        return child

    async def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout: float | None = None,
        env: Mapping[str, str] | None = None,
        program: str = "",
    ) -> Completed:
        """Run a helper program to its end and return its output.

        Stdin is a memory file and the outputs are drained, so neither the program nor
        the agent waits for the other. The program and its descendants are killed when
        the caller is cancelled, or after `timeout` seconds. Raises `Timeout` in that
        case, and `NotFound`.
        """
        name = os.path.basename(program or argv[0])
        with (
            span(
                "program.run",
                {semconv.PROCESS_EXECUTABLE_NAME: name},
                subsystem="process",
            ) as step,
            memory_file("stdin", stdin) as source,
            drained_pipe(OUTPUT_LIMIT) as (out, stdout),
            drained_pipe(OUTPUT_LIMIT) as (err, stderr),
        ):
            child = self.spawn(
                Command(
                    argv,
                    stdin=source,
                    stdout=stdout,
                    stderr=stderr,
                    env=env,
                    new_session=True,
                    program=program,
                )
            )
            try:
                async with asyncio.timeout(timeout):
                    status = await child.wait()
            except TimeoutError:
                raise Timeout(
                    f"program {argv[0]!r}: still running after {timeout} s"
                ) from None
            finally:
                await child.kill_tree()
            step.set_attribute(semconv.PROCESS_EXIT_CODE, status)
            return Completed(status, out.stop(), err.stop())

    @contextlib.contextmanager
    def expecting(self) -> Iterator[None]:
        """Keep the exit codes of orphans for the block, so that `adopt` finds them."""
        self._expecting += 1
        try:
            yield
        finally:
            self._expecting -= 1
            if not self._expecting:
                self._orphans.clear()

    def on_orphans(self, ended: Callable[[], None]) -> None:
        """Call `ended` when orphans have been reaped, once for all of a crowd."""
        self._orphans_ended = ended

    def sweep(self) -> None:
        """Reap every zombie: a registered one through its `Child`, an orphan here.

        Thousands of zombies take several turns of the loop, at a pace.
        """
        # One sweep finds all; of thousands that end at once, many send a signal.
        if not self._is_sweeping:
            self._sweep_on()

    def _sweep_on(self) -> None:
        if self._closed:
            return
        has_more = self._reap(SWEEP)
        if self._is_sweeping and not has_more:
            self._is_sweeping = False
            self._loop.add_signal_handler(signal.SIGCHLD, self.sweep)
            # What ended before that has sent no signal.
            has_more = self._reap(SWEEP)
        if has_more:
            if not self._is_sweeping:
                self._is_sweeping = True
                # The kernel discards it then (man 7 signal); each would take a turn.
                self._loop.remove_signal_handler(signal.SIGCHLD)
            self._loop.call_later(PAUSE, self._sweep_on)
        elif self._found_orphans:
            self._found_orphans = False
            if self._orphans_ended is not None:
                self._orphans_ended()

    def _reap(self, most: int) -> bool:
        """Reap up to `most` zombies; tell whether there may be more."""
        for _ in range(most):
            if self._closed:
                return False
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return False
            if found is None:
                return False
            child = self._children.get(found.si_pid)
            if child is not None:
                child.poll()
                continue
            os.waitid(os.P_PID, found.si_pid, os.WEXITED | os.WNOHANG)
            self._found_orphans = True
            if self._expecting:
                self._orphans[found.si_pid] = to_exit_code(found)
            log.debug("orphan reaped", extra={"pid": found.si_pid})
        return True

    def _forget(self, child: Child) -> None:
        self._children.pop(child.pid, None)


def _pidfd_of(child: int) -> int:
    """Return a pidfd; without one, kill the child, because nobody would own it."""
    try:
        return open_pidfd(child)
    except OSError as error:
        if not isinstance(error, ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        raise
