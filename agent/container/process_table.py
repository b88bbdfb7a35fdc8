# SPDX-License-Identifier: Apache-2.0
"""The processes of one container, by exec id.

An entry ends when a caller is given the exit code: a later `WaitProcess` finds no
process. Unread output stays readable after that, for the last `UNREAD_LIMIT`
processes. A client that waits before it reads thus loses nothing, and a client that
never reads costs a bounded number of descriptors.
"""

from __future__ import annotations

from typing import Final

from kata_agent.container.process import Process, ProcessState
from kata_agent.errors import AlreadyExists, NotFound
from kata_agent.interruption import Interruption

UNREAD_LIMIT: Final = 16
"""Processes that have been waited for and whose output is kept."""


class ProcessTable:
    """Finds processes by exec id; the init has its container's id and also `""`."""

    def __init__(self, container_id: str) -> None:
        self._container_id = container_id
        self._processes: dict[str, Process] = {}
        self._starts: dict[str, Interruption] = {}
        self._unread: dict[str, Process] = {}

    def _key(self, exec_id: str) -> str:
        return exec_id or self._container_id

    def begin_start(self, exec_id: str) -> Interruption:
        """Keep an id for an exec that is being started, until `end_start`.

        The start is to be a step of what is returned, so that SIGKILL ends the start.
        Raises `AlreadyExists` if another process has the id.
        """
        key = self._key(exec_id)
        if key in self._processes or key in self._starts:
            raise AlreadyExists(
                f"container {self._container_id!r}: exec id {exec_id!r} already exists"
            )
        start = Interruption(
            f"container {self._container_id!r}: process {exec_id!r}", "it was killed"
        )
        self._starts[key] = start
        return start

    def end_start(self, exec_id: str) -> None:
        """Free an id that `begin_start` has kept; a process that runs has it by now."""
        del self._starts[self._key(exec_id)]

    def kill_start(self, exec_id: str) -> bool:
        """End the start of an exec, if it is under way; tell whether it is."""
        key = self._key(exec_id)
        if key in self._processes or key not in self._starts:
            return False
        self._starts[key].begin()
        return True

    def kill_starts(self) -> None:
        """End every start that is under way."""
        for start in self._starts.values():
            start.begin()

    def add(self, process: Process) -> None:
        """Add a process that runs."""
        self._drop_unread(process.exec_id)
        self._processes[process.exec_id] = process

    def find(self, exec_id: str) -> Process:
        """Return a process whose exit code no caller has yet. Raises `NotFound`."""
        process = self._processes.get(self._key(exec_id))
        if process is None:
            raise self._not_found(exec_id)
        return process

    def find_readable(self, exec_id: str) -> Process:
        """Return a process whose output may be read. Raises `NotFound`."""
        key = self._key(exec_id)
        process = self._processes.get(key) or self._unread.get(key)
        if process is None:
            raise self._not_found(exec_id)
        return process

    def _not_found(self, exec_id: str) -> NotFound:
        is_init = self._key(exec_id) == self._container_id
        which = "init process" if is_init else f"process {exec_id!r}"
        return NotFound(f"container {self._container_id!r}: no {which}")

    async def wait(self, exec_id: str) -> int:
        """Return a process's exit code to every waiter, and end its entry.

        Waits for the output that goes over connections, because a runtime removes the
        container next, and may end the guest. Raises `NotFound` for an unknown process.
        """
        process = self.find(exec_id)
        exit_code = await process.wait()
        await process.wait_for_host()
        if process.state is not ProcessState.WAITED_FOR:
            process.release()
            self._processes.pop(process.exec_id, None)
            self._unread[process.exec_id] = process
            while len(self._unread) > UNREAD_LIMIT:
                self._drop_unread(next(iter(self._unread)))
        return exit_code

    async def read(self, exec_id: str, *, stderr: bool, limit: int) -> bytes:
        """Return up to `limit` bytes of output, `b""` at its end.

        The end of all outputs also ends an entry that was kept for its output. Raises
        `NotFound` for an unknown process.
        """
        process = self.find_readable(exec_id)
        data = await process.stdio.output(stderr=stderr).read(limit)
        if not data:
            self._drop_if_read(process)
        return data

    def read_now(self, exec_id: str, *, stderr: bool, limit: int) -> bytes | None:
        """Do the same without a wait; return None if it has to wait."""
        process = self.find_readable(exec_id)
        data = process.stdio.output(stderr=stderr).read_now(limit)
        if data == b"":
            self._drop_if_read(process)
        return data

    def _drop_if_read(self, process: Process) -> None:
        """Forget a process that was kept for its output, at the end of all outputs."""
        if all(output.is_closed for output in process.stdio.outputs):
            if self._unread.get(process.exec_id) is process:
                del self._unread[process.exec_id]

    def signal_all(self, number: int) -> None:
        """Send a signal to every process that the agent started here."""
        for process in self._processes.values():
            process.send_signal(number)

    def close(self) -> None:
        """Close every stream and forget every process. Waiters get their exit codes."""
        for process in (*self._processes.values(), *self._unread.values()):
            process.close()
        self._processes.clear()
        self._unread.clear()

    def _drop_unread(self, key: str) -> None:
        process = self._unread.pop(key, None)
        if process is not None:
            process.close()
