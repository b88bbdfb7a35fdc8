# SPDX-License-Identifier: Apache-2.0
"""The OCI runtime behind five verbs: create, start, exec, update, delete.

The runtime is a program that runs once for a verb, in a session of its own. The
runtime writes its errors as JSON lines to a pipe of the agent (`--log`), because its
stderr is the container's. A caller that is cancelled kills the runtime, with the hooks
that it runs.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar, Final

from kata_agent.blocking import blocking
from kata_agent.child import Child
from kata_agent.drain import drained_pipe
from kata_agent.errors import Internal
from kata_agent.exhaustion import told_exhaustion
from kata_agent.linux.beneath import open_directory, opened
from kata_agent.linux.memory_file import memory_file
from kata_agent.linux.spawn import DEFAULT_ENVIRONMENT, Command
from kata_agent.linux.tree import remove_directory
from kata_agent.reaper import Reaper
from kata_agent.runtime.runtime_log import to_reason
from kata_agent.runtime.standard_files import StandardFiles
from kata_tracing import semconv
from kata_tracing.span import span

log = logging.getLogger(__name__)

Json = dict[str, Any]

DELETE_TIMEOUT: Final = 3.0
"""Seconds that `delete` has, with its poststop hooks; it takes milliseconds."""
_LOG_LIMIT: Final = 64 << 10
"""Bytes of the runtime's log that are read: the last ones."""
_PID_LIMIT: Final = 32
"""Bytes that are read of a pid file."""


class Runtime:
    """Runs OCI bundles by a program with the command line of crun and runc.

    Every verb raises `Internal`, with the reason that the runtime gives, if it fails.
    """

    global_options: ClassVar[Sequence[str]] = ()
    """Options before the verb."""
    prepares_terminal_late: ClassVar[bool] = False
    """Whether the program of an exec may run before its terminal has size and owner."""
    sigpipe: ClassVar[bool] = True
    """False to start the program with SIGPIPE ignored."""
    environment: ClassVar[Mapping[str, str]] = DEFAULT_ENVIRONMENT
    """The program's environment, all of it."""

    def __init__(
        self, program: str, *, reaper: Reaper, state: Path, pivot_root: bool = True
    ) -> None:
        """Run `program`, a path or a name in PATH.

        The runtime keeps its state in the directory `state`. Without `pivot_root` it
        moves the root file system in another way (`--no-pivot`).
        """
        self._program = program
        self._reaper = reaper
        self._state = state
        self._pivot_root = pivot_root
        self._pid_files = itertools.count()

    def executable(self) -> str:
        """Return the path of the program, or its name in PATH."""
        return self._program

    async def create(
        self, container_id: str, bundle: Path, files: StandardFiles
    ) -> Child:
        """Build a container, and return its init, which waits for `start`."""
        arguments = ["create", "--bundle", os.fspath(bundle)]
        if not self._pivot_root:
            arguments.append("--no-pivot")
        return await self._start_process(arguments, container_id, files)

    async def start(self, container_id: str) -> None:
        """Let the init of a created container execute its program."""
        await self._call(["start", container_id], container_id)

    async def exec(
        self, container_id: str, process: Json, files: StandardFiles
    ) -> Child:
        """Start another process in a container, and return that process.

        `process` is that part of an OCI spec (runtime-spec config.md).
        """
        with memory_file("process", json.dumps(process).encode()) as document:
            return await self._start_process(
                ["exec", "--detach", "--process", _path_of(document)],
                container_id,
                files,
            )

    async def update(self, container_id: str, resources: Json) -> None:
        """Apply OCI resources (runtime-spec config-linux.md) to the cgroup."""
        with memory_file("resources", json.dumps(resources).encode()) as document:
            await self._call(
                ["update", "--resources", _path_of(document), container_id],
                container_id,
            )

    async def delete(self, container_id: str) -> None:
        """Delete the state of a container whose processes have ended.

        An unknown container is fine. What a runtime leaves that fails, or that takes
        longer than `DELETE_TIMEOUT`, is deleted by the agent. Raises `OSError`.
        """
        complaint = ""
        try:
            async with asyncio.timeout(DELETE_TIMEOUT):
                # Without --force an unknown container is an error.
                complaint = await self._call(
                    ["delete", "--force", container_id], container_id
                )
        except TimeoutError:
            complaint = f"killed after {DELETE_TIMEOUT:g} s"
        except Internal as error:
            complaint = str(error)
        if complaint:
            # One of its poststop hooks may have failed, for example.
            log.warning(
                "runtime deleted the container with a complaint",
                extra={"container_id": container_id, "complaint": complaint},
            )
        state = self._state / container_id
        if _exists(state):
            await blocking(_remove, state)

    def forget(self, container_id: str) -> bool:
        """Do without the program what `delete` does, if that can be done; else nothing.

        The container's processes have ended, and it has no poststop hooks. Tells
        whether that was done. May block. Raises `OSError`.
        """
        return False

    async def _start_process(
        self, arguments: Sequence[str], container_id: str, files: StandardFiles
    ) -> Child:
        """Run a verb that leaves a process behind, and adopt that process."""
        self._state.mkdir(mode=0o700, parents=True, exist_ok=True)
        pid_file = self._state / f".pid-{next(self._pid_files)}"
        options = ["--pid-file", os.fspath(pid_file)]
        if files.console is not None:
            options += ["--console-socket", os.fspath(files.console)]
        try:
            # The process may end between the runtime's exit and the adoption.
            with self._reaper.expecting():
                try:
                    await self._call(
                        [*arguments, *options, container_id], container_id, files
                    )
                except BaseException:
                    child = self._adopt(pid_file)
                    if child is not None and child.exit_code is None:
                        # Started by a runtime that was killed before it ended.
                        child.send_signal(signal.SIGKILL)
                    raise
                child = self._adopt(pid_file)
                if child is None:
                    raise Internal(
                        f"container {container_id!r}: {arguments[0]} failed: "
                        "the runtime gave no pid of a new process"
                    )
                return child
        finally:
            pid_file.unlink(missing_ok=True)

    def _adopt(self, pid_file: Path) -> Child | None:
        """Adopt the process of a pid file; None without one."""
        try:
            with open(pid_file) as file:
                pid = int(file.read(_PID_LIMIT))
            return self._reaper.adopt(pid) if pid > 1 else None
        except (FileNotFoundError, ProcessLookupError, OverflowError, ValueError):
            return None

    async def _call(
        self,
        arguments: Sequence[str],
        container_id: str,
        files: StandardFiles = StandardFiles(),  # noqa: B008  # frozen
    ) -> str:
        """Run a verb; return the failures logged in spite of its success.

        Raises `Internal` if the runtime's exit status is not 0.
        """
        step = self._step(arguments[0], container_id)
        with step, drained_pipe(_LOG_LIMIT) as (messages, log_writer):
            argv = [
                self._program,
                *self.global_options,
                "--root",
                os.fspath(self._state),
                "--log",
                _path_of(log_writer),
                "--log-format",
                "json",
                *arguments,
            ]
            child = self._reaper.spawn(
                Command(
                    argv,
                    stdin=files.stdin,
                    stdout=files.stdout,
                    stderr=files.stderr,
                    env=self.environment,
                    new_session=True,
                    sigpipe=self.sigpipe,
                    program=self.executable(),
                )
            )
            status = await child.wait_or_kill()
            reason = to_reason(messages.stop())
            if status != 0:
                raise Internal(
                    f"container {container_id!r}: {arguments[0]} failed: "
                    f"{reason or f'status {status}'}"
                ) from told_exhaustion(reason)
            return reason

    @staticmethod
    def _step(verb: str, container_id: str) -> AbstractContextManager[object]:
        """Make a span of a verb."""
        return span(
            f"runtime.{verb}", {semconv.CONTAINER_ID: container_id}, subsystem="runtime"
        )


def _exists(directory: Path) -> bool:
    # In the /run of the guest, a file system in memory, this does not block.
    return os.path.lexists(directory)


def _remove(directory: Path) -> None:
    with opened(open_directory(os.fspath(directory.parent))) as parent:
        remove_directory(parent, directory.name)


def _path_of(fd: int) -> str:
    """Return a path by which the runtime, a child of the agent, can open `fd`."""
    return f"/proc/{os.getpid()}/fd/{fd}"
