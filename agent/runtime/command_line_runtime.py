# SPDX-License-Identifier: Apache-2.0
"""What crun and runc have in common: their command line.

The runtime reports errors as JSON lines into a memory file of ours (`--log`),
because its stderr is the container's.
"""

from __future__ import annotations

import itertools
import json
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final

from kata_agent.child import Child
from kata_agent.errors import Internal
from kata_agent.linux.memory_file import memory_file
from kata_agent.linux.spawn import Command
from kata_agent.reaper import Reaper
from kata_agent.runtime.runtime import Json, StandardFiles
from kata_tracing import semconv
from kata_tracing.span import span

log = logging.getLogger(__name__)

_LOG_LIMIT: Final = 64 << 10
_MISSING_FILE: Final = re.compile(
    r"executable file [`'\"]?([^`'\"\s]+)[`'\"]? not found"
    r"|exec: \\?\"([^\"\\]+)\\?\": (?:executable file not found|stat )"
)


class CommandLineRuntime:
    """An OCI runtime as a program."""

    global_options: ClassVar[Sequence[str]] = ()
    sigpipe: ClassVar[bool] = True
    """Whether SIGPIPE kills the runtime, as it does any program."""

    def __init__(
        self, program: str, *, reaper: Reaper, state: Path, pivot_root: bool = True
    ) -> None:
        self._program = program
        self._reaper = reaper
        self._state = state
        self._pivot_root = pivot_root
        self._pid_files = itertools.count()

    async def create(
        self, container_id: str, bundle: Path, files: StandardFiles
    ) -> Child:
        arguments = ["create", "--bundle", os.fspath(bundle)]
        if not self._pivot_root:
            arguments.append("--no-pivot")
        return await self._start_process(arguments, container_id, files)

    async def start(self, container_id: str) -> None:
        await self._call(["start", container_id], container_id)

    async def exec(
        self, container_id: str, process: Json, files: StandardFiles
    ) -> Child:
        with memory_file("process", json.dumps(process).encode()) as document:
            return await self._start_process(
                ["exec", "--detach", "--process", _path_of(document)],
                container_id,
                files,
            )

    async def update(self, container_id: str, resources: Json) -> None:
        with memory_file("resources", json.dumps(resources).encode()) as document:
            await self._call(
                ["update", "--resources", _path_of(document), container_id],
                container_id,
            )

    async def delete(self, container_id: str, *, force: bool = False) -> None:
        options = ["--force"] if force else []
        complaint = await self._call(["delete", *options, container_id], container_id)
        if complaint:
            # The container is gone, whatever its poststop hooks say.
            log.warning(
                "runtime's delete: %s", complaint, extra={"container_id": container_id}
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
            # From the runtime's exit to the adoption the process may end.
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
        """Run a verb; return what it complained about though it succeeded."""
        step = span(
            f"runtime.{arguments[0]}",
            {semconv.CONTAINER_ID: container_id},
            subsystem="runtime",
        )
        with step, memory_file("log") as messages:
            child = self._reaper.spawn(
                Command(
                    [
                        self._program,
                        *self.global_options,
                        "--root",
                        os.fspath(self._state),
                        "--log",
                        _path_of(messages),
                        "--log-format",
                        "json",
                        *arguments,
                    ],
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


def to_reason(log: bytes) -> str:
    """Return the messages of a runtime's JSON log, in one line."""
    reasons = []
    for line in log.decode(errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            reasons.append(line.strip())
            continue
        if isinstance(entry, dict) and entry.get("level", "error") in _FAILURES:
            reasons.append(_innermost(str(entry.get("msg", ""))))
    reason = "; ".join(filter(None, reasons))
    missing = _MISSING_FILE.search(reason)
    if missing:
        # Kata's runtimes look for this text (agent-side of "file not found").
        return f"the file {missing[1] or missing[2]} was not found ({reason})"
    return reason


def _innermost(message: str) -> str:
    """Unwrap a message that is a line of the log itself, as crun's child sends it."""
    try:
        entry = json.loads(message)
    except ValueError:
        return message.strip()
    inner = entry.get("msg") if isinstance(entry, dict) else None
    return _innermost(inner) if isinstance(inner, str) else message.strip()


_FAILURES: Final = ("error", "fatal", "panic")


def _path_of(fd: int) -> str:
    """A path to our descriptor that works in the runtime, a child of ours."""
    return f"/proc/{os.getpid()}/fd/{fd}"
