# SPDX-License-Identifier: Apache-2.0
"""A process in a container, as the host handles it: its streams, signals and end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Final

from kata_host.client.result import Result
from kata_protos import agent_pb2
from kata_protos.agent_ttrpc import AgentServiceClient
from ttrpc.codes import Code
from ttrpc.errors import RemoteProtocolError, StatusError

READ_SIZE: Final = 1 << 20
"""Bytes that one read asks for; the response holds those that are there. As many as a
busy pipe holds: each read is a call, and costs its way there and back."""
WRITE_SIZE: Final = 256 << 10
"""Bytes that one write sends; a message may hold 4 MiB."""

ENDED: Final = frozenset(
    {
        Code.NOT_FOUND,
        Code.INVALID_ARGUMENT,
        Code.FAILED_PRECONDITION,
        Code.UNAVAILABLE,
        # Kata's agents 2.x to 4.x answer so to input for a closed pipe.
        Code.INTERNAL,
    }
)
"""Codes of answers to input, signals and sizes for a process that has ended."""

_Read = Callable[[agent_pb2.ReadStreamRequest], Awaitable[agent_pb2.ReadStreamResponse]]


@contextlib.contextmanager
def process_may_have_ended() -> Iterator[None]:
    """Ignore the error of a call that came after the process had ended.

    `ContainerProcess.wait` reports how the process ended.
    """
    try:
        yield
    except StatusError as error:
        if error.code not in ENDED:
            raise


class ContainerProcess:
    """The first process of a container, or an exec.

    The exec id of the first process is the container's id. Read the output to its end
    before `wait`, because that call ends the streams.
    """

    def __init__(
        self,
        agent: AgentServiceClient,
        container_id: str,
        exec_id: str,
        *,
        terminal: bool = False,
    ) -> None:
        self.container_id = container_id
        self.exec_id = exec_id
        self.terminal = terminal
        """Whether the process is on a terminal, which has no standard error."""
        self._agent = agent

    def read_stdout(self) -> AsyncIterator[bytes]:
        """Yield standard output as it comes, until its end.

        A process on a terminal has no other output.
        """
        return self._read(self._agent.read_stdout)

    def read_stderr(self) -> AsyncIterator[bytes]:
        """Yield standard error as it comes, until its end."""
        return self._read(self._agent.read_stderr)

    async def write_stdin(self, data: bytes) -> None:
        """Write all of `data`; wait while the process does not read."""
        view = memoryview(data)
        while view:
            await self._agent.write_stdin(
                agent_pb2.WriteStreamRequest(
                    container_id=self.container_id,
                    exec_id=self.exec_id,
                    data=bytes(view[:WRITE_SIZE]),
                )
            )
            view = view[WRITE_SIZE:]

    async def close_stdin(self) -> None:
        """End standard input."""
        await self._agent.close_stdin(
            agent_pb2.CloseStdinRequest(
                container_id=self.container_id, exec_id=self.exec_id
            )
        )

    async def signal(self, number: int) -> None:
        """Send a signal to this process alone."""
        await self._agent.signal_process(
            agent_pb2.SignalProcessRequest(
                container_id=self.container_id, exec_id=self.exec_id, signal=number
            )
        )

    async def resize(self, rows: int, columns: int) -> None:
        """Set the size of the process's terminal, in characters."""
        await self._agent.tty_win_resize(
            agent_pb2.TtyWinResizeRequest(
                container_id=self.container_id,
                exec_id=self.exec_id,
                row=rows,
                column=columns,
            )
        )

    async def wait(self) -> int:
        """Wait for the end; return the exit status, or 128+n if signal n ended it."""
        response = await self._agent.wait_process(
            agent_pb2.WaitProcessRequest(
                container_id=self.container_id, exec_id=self.exec_id
            )
        )
        return response.status

    async def communicate(self, input: bytes = b"") -> Result:
        """Write `input`, read all output, and wait for the end.

        All output of a terminal is in `stdout`, in its order.
        """

        async def feed() -> None:
            with process_may_have_ended():
                await self.write_stdin(input)
                await self.close_stdin()

        feeding = asyncio.create_task(feed())
        try:
            streams = [self.read_stdout()]
            if not self.terminal:
                # On a terminal, this would take away a part of the one output.
                streams.append(self.read_stderr())
            stdout, *stderr = await asyncio.gather(*map(_collect, streams))
            return Result(await self.wait(), stdout, b"".join(stderr))
        finally:
            feeding.cancel()
            await asyncio.wait([feeding])

    async def _read(self, read: _Read) -> AsyncIterator[bytes]:
        request = agent_pb2.ReadStreamRequest(
            container_id=self.container_id, exec_id=self.exec_id, len=READ_SIZE
        )
        while data := (await read(request)).data:
            # The guest is not trusted, because an attacker may control it.
            if len(data) > READ_SIZE:
                raise RemoteProtocolError(
                    f"container '{self.container_id}': {len(data)} bytes of output, "
                    f"more than the {READ_SIZE} requested"
                )
            yield data


async def _collect(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])
