# SPDX-License-Identifier: Apache-2.0
"""One process of a container: its init or an exec.

Every change of its state is in the table below. A process that has been waited for
keeps only the output that is not yet read.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import time
from typing import Final

from kata_agent.child import Child
from kata_agent.container.stdio import Stdio
from kata_agent.container.stream_connections import StreamConnections
from kata_agent.container.stream_copies import StreamCopies
from kata_agent.container.stream_copy import StreamCopy
from kata_tracing import semconv
from kata_tracing.span import add_span


class ProcessState(enum.Enum):
    RUNNING = "running"
    """The process has a pid; an init may still wait for its container to be started."""
    EXITED = "exited"
    """The process has an exit code, which no caller has been given yet."""
    WAITED_FOR = "waited for"
    """A caller has been given the exit code: `WaitProcess` does not find the
    process any more."""


class ProcessEvent(enum.Enum):
    EXIT = "exit"
    HAND_OUT = "hand out"
    """A caller is given the exit code."""


TRANSITIONS: Final = {
    (ProcessState.RUNNING, ProcessEvent.EXIT): ProcessState.EXITED,
    # A waiter may be served before the callback of the exit.
    (ProcessState.RUNNING, ProcessEvent.HAND_OUT): ProcessState.WAITED_FOR,
    (ProcessState.EXITED, ProcessEvent.HAND_OUT): ProcessState.WAITED_FOR,
}
"""An event that is missing for a state changes nothing."""


class Process:
    """A child of the agent with its standard streams."""

    def __init__(self, exec_id: str, child: Child, stdio: Stdio) -> None:
        self.exec_id: Final = exec_id
        """For the init, its container's id."""
        self.stdio: Final = stdio
        self._state = ProcessState.RUNNING
        self._child = child
        self._copying_in: asyncio.Task[None] | None = None
        self._copies: list[StreamCopy] = []
        child.on_exit(self._exited)

    @property
    def state(self) -> ProcessState:
        return self._state

    def _advance(self, event: ProcessEvent) -> None:
        self._state = TRANSITIONS.get((self._state, event), self._state)

    @property
    def pid(self) -> int:
        """The pid in the agent's pid namespace."""
        return self._child.pid

    async def wait(self) -> int:
        """Return the exit code, 128+n after signal n; for any number of callers."""
        return await self._child.wait()

    def _exited(self, exit_code: int) -> None:
        self._advance(ProcessEvent.EXIT)
        self.stdio.process_ended()
        for copy in self._copies:
            copy.process_ended()

    def send_signal(self, number: int) -> None:
        """Send a signal; one to a process that has ended is dropped."""
        with contextlib.suppress(ProcessLookupError):
            self._child.send_signal(number)

    def stream(self, connections: StreamConnections, copies: StreamCopies) -> None:
        """Carry the streams over connections of their own; `copies` keeps those out."""
        self._copying_in, self._copies = connections.attach(self.stdio)
        for copy in self._copies:
            copies.add(copy)

    async def wait_for_host(self) -> None:
        """Wait until the host has the output that goes over connections.

        A host that stops reading is waited for no longer than
        `kata_agent.container.stream_copy` says.
        """
        for copy in self._copies:
            await copy.wait_for_host()

    def end_input(self) -> None:
        """Let the process read the end of its input.

        If stdin has a connection of its own, the end of that connection closes stdin;
        closing it here would lose data in flight.
        """
        if self._copying_in is None:
            self.stdio.input.end()

    def close(self) -> None:
        """Close every stream; output that is on its way to the host still gets there.

        The process has ended, or is about to.
        """
        if self._copying_in is not None:
            self._copying_in.cancel()
        self.stdio.close(keep=[copy.output for copy in self._copies])

    def release(self) -> None:
        """Close the streams that no client needs once it has the exit code."""
        self._advance(ProcessEvent.HAND_OUT)
        if self._copying_in is not None:
            self._copying_in.cancel()
        self.stdio.input.close()
        for output in self.stdio.outputs:
            output.close_if_ended()


def trace_run(container_id: str, exec_id: str, child: Child) -> None:
    """Make a span of a process, which begins now and ends with its exit."""
    started = time.monotonic_ns()

    def exited(exit_code: int) -> None:
        add_span(
            "process.run",
            {
                semconv.CONTAINER_ID: container_id,
                semconv.EXEC_ID: exec_id,
                semconv.PROCESS_PID: child.pid,
                semconv.PROCESS_EXIT_CODE: exit_code,
            },
            subsystem="container",
            start=started,
        )

    child.on_exit(exited)
