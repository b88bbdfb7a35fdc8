# SPDX-License-Identifier: Apache-2.0
"""One process of a container: its init or an exec.

A process is *waited for* once its exit code has been handed out. From then on
only what it wrote and nobody read yet is kept, until it has been read.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from kata_agent.container.stdio import Stdio
from kata_agent.container.stdio_dial import StreamSockets
from kata_agent.reaper import Child


class Process:
    """A child of the agent with its standard streams."""

    def __init__(self, exec_id: str, child: Child, stdio: Stdio) -> None:
        self.exec_id: Final = exec_id
        """The init's is its container's id."""
        self.stdio: Final = stdio
        self._child = child
        self.is_waited_for = False
        self._streams: list[asyncio.Task[None]] = []
        self._is_fed = False
        child.on_exit(self._ended)

    @property
    def pid(self) -> int:
        """Its pid in the agent's pid namespace."""
        return self._child.pid

    @property
    def is_running(self) -> bool:
        return self._child.exit_code is None

    async def wait(self) -> int:
        """Return the exit code, 128+n after signal n; for any number of callers."""
        return await self._child.wait()

    def _ended(self, exit_code: int) -> None:
        for output in self.stdio.outputs:
            output.end_soon()

    def send_signal(self, number: int) -> None:
        """Send a signal; one to a process that has ended is dropped."""
        with contextlib.suppress(ProcessLookupError):
            self._child.send_signal(number)

    def stream(self, sockets: StreamSockets) -> None:
        """Have the streams flow over connections of their own."""
        self._is_fed = sockets.carry_input
        self._streams = sockets.attach(self.stdio)

    def end_input(self) -> None:
        """Let the process read the end of its input.

        A connection that carries the input tells its end itself: what is under way
        on it would be lost.
        """
        if not self._is_fed:
            self.stdio.input.end()

    @property
    def is_streaming(self) -> bool:
        """Whether something is still under way on those connections."""
        return any(not task.done() for task in self._streams)

    def close(self) -> None:
        """Close every stream, also one that is under way to the host."""
        for task in self._streams:
            task.cancel()
        self.stdio.close()

    def release(self) -> None:
        """Close what nobody needs once the exit code has been handed out."""
        self.is_waited_for = True
        self.stdio.input.close()
        for output in self.stdio.outputs:
            # A connection that takes it is told of the end in its own time.
            if output.is_drained and not self.is_streaming:
                output.close()
