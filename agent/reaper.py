# SPDX-License-Identifier: Apache-2.0
"""The parent of every process in the guest: starts them, waits, sweeps up.

Each child that matters is waited for by its own pidfd. While a child has not
been waited for, its pid cannot be used again, so there is no race between
learning a pid and registering it.

What the kernel reparents to the agent and nobody registered (an *orphan*) must
be reaped too: the zombie of a failed `crun exec`, for one, lives in the
container's pid namespace and keeps its PID 1 from ever being reported dead.
SIGCHLD is only the hint to look. While the OCI runtime is starting something,
an orphan may be the very process whose pid it is about to report, so the exit
codes of orphans are kept for that long (`expecting`).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from kata_agent.errors import NotFound, Timeout
from kata_agent.linux.pidfd import open_pidfd
from kata_agent.linux.prctl import set_child_subreaper
from kata_agent.linux.spawn import spawn
from kata_tracing import semconv
from kata_tracing.span import span

log = logging.getLogger(__name__)

OUTPUT_LIMIT: Final = 4 << 20
"""What `run` keeps of a helper program's stdout, and of its stderr."""


@dataclass(frozen=True, slots=True)
class Completed:
    """A helper program that ended: its exit code and what it wrote."""

    status: int
    stdout: bytes
    stderr: bytes


class Child:
    """A process whose parent the agent is, from birth or by adoption."""

    __slots__ = ("_exit", "_pidfd", "_reaper", "pid")

    def __init__(self, reaper: Reaper, pid: int, pidfd: int) -> None:
        """Own `pidfd`; with one of -1 `ended` must follow."""
        self.pid: Final = pid
        self._reaper = reaper
        self._exit: asyncio.Future[int] = reaper.loop.create_future()
        self._pidfd = pidfd
        if pidfd >= 0:
            reaper.loop.add_reader(pidfd, self.poll)

    @property
    def exit_code(self) -> int | None:
        """The exit code, 128+n after signal n, or None while it runs."""
        return self._exit.result() if self._exit.done() else None

    async def wait(self) -> int:
        """Return the exit code; any number of callers may wait, and stop waiting."""
        return await asyncio.shield(self._exit)

    def on_exit(self, callback: Callable[[int], None]) -> None:
        """Call `callback` with the exit code, soon after there is one."""
        self._exit.add_done_callback(
            lambda done: None if done.cancelled() else callback(done.result())
        )

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
        self._forget()
        self.ended(_exit_code(result))

    def ended(self, exit_code: int) -> None:
        """Tell those who wait."""
        self._exit.set_result(exit_code)

    def _forget(self) -> None:
        self._reaper.loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._pidfd = -1
        self._reaper.forget(self)

    def abandon(self) -> None:
        """Stop watching; for the end of the loop."""
        if self._pidfd >= 0:
            self._forget()
            self._exit.cancel()


class Reaper:
    """Owns every child. Make it in the running loop; close it at the end."""

    def __init__(self) -> None:
        self.loop: Final = asyncio.get_running_loop()
        self._children: dict[int, Child] = {}
        self._expecting = 0
        self._orphans: dict[int, int] = {}
        self._closed = False
        set_child_subreaper()
        self.loop.add_signal_handler(signal.SIGCHLD, self.sweep)

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
        self.loop.remove_signal_handler(signal.SIGCHLD)
        for child in list(self._children.values()):
            child.abandon()

    def spawn(
        self,
        argv: Sequence[str],
        *,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        keep: Sequence[int] = (),
        env: Mapping[str, str] | None = None,
        new_session: bool = False,
        terminal: str = "",
        sigpipe: bool = True,
        program: str = "",
    ) -> Child:
        """Start a program (`kata_agent.linux.spawn`). Raises `NotFound` without one."""
        try:
            pid = spawn(
                argv,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                keep=keep,
                env=env,
                new_session=new_session,
                terminal=terminal,
                sigpipe=sigpipe,
                program=program,
            )
        except FileNotFoundError as error:
            raise NotFound(f"program {program or argv[0]!r}: not found") from error
        return self.adopt(pid)

    def adopt(self, pid: int) -> Child:
        """Register a process that is ours to wait for, or was until just now."""
        try:
            child = Child(self, pid, open_pidfd(pid))
        except ProcessLookupError:
            if pid not in self._orphans:
                raise
            child = Child(self, pid, -1)
            child.ended(self._orphans.pop(pid))
            return child
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
        """Run a helper program to its end and return what it wrote.

        Its descriptors are memory files, so it can neither block us nor be
        blocked. It is killed when the caller is cancelled or `timeout` seconds
        have passed; then raises `Timeout`.
        """
        name = os.path.basename(program or argv[0])
        with (
            span(
                "program.run",
                {semconv.PROCESS_EXECUTABLE_NAME: name},
                subsystem="process",
            ) as step,
            _memory_file(stdin) as source,
            _memory_file() as out,
            _memory_file() as err,
        ):
            child = self.spawn(
                argv, stdin=source, stdout=out, stderr=err, env=env, program=program
            )
            try:
                async with asyncio.timeout(timeout):
                    status = await child.wait()
            except TimeoutError:
                raise Timeout(
                    f"program {argv[0]!r}: no end within {timeout} s"
                ) from None
            finally:
                if child.exit_code is None:
                    with contextlib.suppress(ProcessLookupError):
                        child.send_signal(signal.SIGKILL)
            step.set_attribute(semconv.PROCESS_EXIT_CODE, status)
            return Completed(
                status, os.pread(out, OUTPUT_LIMIT, 0), os.pread(err, OUTPUT_LIMIT, 0)
            )

    @contextlib.contextmanager
    def expecting(self) -> Iterator[None]:
        """Keep the exit codes of orphans: one of them may be about to be named."""
        self._expecting += 1
        try:
            yield
        finally:
            self._expecting -= 1
            if not self._expecting:
                self._orphans.clear()

    def sweep(self) -> None:
        """Reap every zombie: registered ones by their `Child`, orphans here."""
        while not self._closed:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None:
                return
            child = self._children.get(found.si_pid)
            if child is not None:
                child.poll()
                continue
            os.waitid(os.P_PID, found.si_pid, os.WEXITED | os.WNOHANG)
            if self._expecting:
                self._orphans[found.si_pid] = _exit_code(found)
            log.debug("orphan reaped", extra={"pid": found.si_pid})

    def forget(self, child: Child) -> None:
        """Drop a child that has been waited for."""
        self._children.pop(child.pid, None)


def _exit_code(result: os.waitid_result) -> int:
    if result.si_code == os.CLD_EXITED:
        return result.si_status
    return 128 + result.si_status


@contextlib.contextmanager
def _memory_file(content: bytes = b"") -> Iterator[int]:
    """An anonymous file (man 2 memfd_create) that begins with `content`."""
    fd = os.memfd_create("program", os.MFD_CLOEXEC)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)
