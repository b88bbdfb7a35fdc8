# SPDX-License-Identifier: Apache-2.0
"""One process of a container: its init or an exec.

Every change of its state is in the table below. A process that has been waited for
keeps only the output that is not yet read.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
from typing import Final

from kata_agent.child import Child
from kata_agent.container.stdio import Stdio
from kata_agent.container.stream_connections import StreamConnections


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
        self._streams: list[asyncio.Task[None]] = []
        self._has_input_connection = False
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
        for output in self.stdio.outputs:
            output.end_soon()

    def send_signal(self, number: int) -> None:
        """Send a signal; one to a process that has ended is dropped."""
        with contextlib.suppress(ProcessLookupError):
            self._child.send_signal(number)

    def stream(self, connections: StreamConnections) -> None:
        """Carry the streams over connections of their own."""
        self._has_input_connection = connections.has_stdin
        self._streams = connections.attach(self.stdio)

    def end_input(self) -> None:
        """Let the process read the end of its input.

        If stdin has a connection of its own, the end of that connection closes stdin;
        closing it here would lose data in flight.
        """
        if not self._has_input_connection:
            self.stdio.input.end()

    @property
    def is_streaming(self) -> bool:
        """Whether bytes may still be in flight on those connections."""
        return any(not task.done() for task in self._streams)

    def close(self) -> None:
        """Close every stream, also one whose bytes are in flight to the host."""
        for task in self._streams:
            task.cancel()
        self.stdio.close()

    def release(self) -> None:
        """Close the streams that no client needs once it has the exit code."""
        self._advance(ProcessEvent.HAND_OUT)
        self.stdio.input.close()
        for output in self.stdio.outputs:
            # A connection reads its output to the end by itself.
            if output.is_drained and not self.is_streaming:
                output.close()
