# SPDX-License-Identifier: Apache-2.0
"""A process in a container, seen from outside: its streams, signals and end."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Final

from kata_protos import agent_pb2
from kata_protos.agent_ttrpc import AgentServiceClient
from ttrpc.codes import Code
from ttrpc.errors import RemoteProtocolError, StatusError

READ_SIZE: Final = 256 << 10
"""Bytes asked for at a time; an answer has what is there."""
WRITE_SIZE: Final = 256 << 10
"""Bytes sent at a time; a message holds 4 MiB."""

ENDED: Final = frozenset(
    {
        Code.NOT_FOUND,
        Code.INVALID_ARGUMENT,
        Code.FAILED_PRECONDITION,
        Code.UNAVAILABLE,
        # The agents of Kata 2.x to 4.x, for input to a closed pipe.
        Code.INTERNAL,
    }
)
"""Answers to input, signals and sizes for a process that has ended meanwhile."""

_Read = Callable[[agent_pb2.ReadStreamRequest], Awaitable[agent_pb2.ReadStreamResponse]]


@contextlib.contextmanager
def process_may_have_ended() -> Iterator[None]:
    """Ignore that something came too late for a process: its end says all."""
    try:
        yield
    except StatusError as error:
        if error.code not in ENDED:
            raise


class ContainerProcess:
    """The init process of a container, whose exec id is the container's id, or an exec.

    Output is to be read to its end before `wait`: that call ends the streams.
    """

    def __init__(
        self, agent: AgentServiceClient, container_id: str, exec_id: str
    ) -> None:
        self.container_id = container_id
        self.exec_id = exec_id
        self._agent = agent

    def read_stdout(self) -> AsyncIterator[bytes]:
        """Yield standard output as it comes, until its end; with a terminal, all."""
        return self._read(self._agent.read_stdout)

    def read_stderr(self) -> AsyncIterator[bytes]:
        """Yield standard error as it comes, until its end."""
        return self._read(self._agent.read_stderr)

    async def write_stdin(self, data: bytes) -> None:
        """Write all of `data`; waits while the process does not read."""
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
        await self._agent.close_stdin(
            agent_pb2.CloseStdinRequest(
                container_id=self.container_id, exec_id=self.exec_id
            )
        )

    async def signal(self, number: int) -> None:
        await self._agent.signal_process(
            agent_pb2.SignalProcessRequest(
                container_id=self.container_id, exec_id=self.exec_id, signal=number
            )
        )

    async def resize(self, rows: int, columns: int) -> None:
        await self._agent.tty_win_resize(
            agent_pb2.TtyWinResizeRequest(
                container_id=self.container_id,
                exec_id=self.exec_id,
                row=rows,
                column=columns,
            )
        )

    async def wait(self) -> int:
        """Return the exit status: the process's own, or 128+n for signal n."""
        response = await self._agent.wait_process(
            agent_pb2.WaitProcessRequest(
                container_id=self.container_id, exec_id=self.exec_id
            )
        )
        return response.status

    async def _read(self, read: _Read) -> AsyncIterator[bytes]:
        request = agent_pb2.ReadStreamRequest(
            container_id=self.container_id, exec_id=self.exec_id, len=READ_SIZE
        )
        while data := (await read(request)).data:
            # The guest is not trusted: it might have been taken over.
            if len(data) > READ_SIZE:
                raise RemoteProtocolError(
                    f"container '{self.container_id}': {len(data)} bytes of output, "
                    f"asked for {READ_SIZE}"
                )
            yield data
