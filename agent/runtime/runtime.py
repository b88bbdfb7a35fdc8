# SPDX-License-Identifier: Apache-2.0
"""The OCI runtime behind five verbs: create, start, exec, update, delete.

The runtime is a program that runs once for each verb. The runtime writes its errors as
JSON lines to a memory file of the agent (`--log`), because its stderr is the
container's.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from kata_agent.child import Child
from kata_agent.errors import Internal
from kata_agent.linux.memory_file import memory_file
from kata_agent.linux.spawn import Command
from kata_agent.reaper import Reaper
from kata_agent.runtime.runtime_log import to_reason
from kata_agent.runtime.standard_files import StandardFiles
from kata_tracing import semconv
from kata_tracing.span import span

log = logging.getLogger(__name__)

Json = dict[str, Any]

_LOG_LIMIT: Final = 64 << 10
"""Bytes of the runtime's log that are read."""


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

    async def delete(self, container_id: str, *, force: bool = False) -> None:
        """Delete the state of a container.

        With `force` its processes are killed first, and an unknown container is fine.
        """
        options = ["--force"] if force else []
        complaint = await self._call(["delete", *options, container_id], container_id)
        if complaint:
            # The container is gone, although one of its poststop hooks may have failed.
            log.warning(
                "runtime deleted the container with a complaint",
                extra={"container_id": container_id, "complaint": complaint},
            )

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
                await self._call(
                    [*arguments, *options, container_id], container_id, files
                )
                return self._reaper.adopt(int(pid_file.read_text()))
        finally:
            pid_file.unlink(missing_ok=True)

    async def _call(
        self,
        arguments: Sequence[str],
        container_id: str,
        files: StandardFiles = StandardFiles(),  # noqa: B008  # frozen
    ) -> str:
        """Run a verb; return the failures logged in spite of its success.

        Raises `Internal` if the runtime's exit status is not 0.
        """
        step = span(
            f"runtime.{arguments[0]}",
            {semconv.CONTAINER_ID: container_id},
            subsystem="runtime",
        )
        with step, memory_file("log") as messages:
            argv = [
                self._program,
                *self.global_options,
                "--root",
                os.fspath(self._state),
                "--log",
                _path_of(messages),
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
                    sigpipe=self.sigpipe,
                )
            )
            status = await child.wait()
            reason = to_reason(os.pread(messages, _LOG_LIMIT, 0))
            if status != 0:
                raise Internal(
                    f"container {container_id!r}: {arguments[0]} failed: "
                    f"{reason or f'status {status}'}"
                )
            return reason


def _path_of(fd: int) -> str:
    """Return a path by which the runtime, a child of the agent, can open `fd`."""
    return f"/proc/{os.getpid()}/fd/{fd}"
