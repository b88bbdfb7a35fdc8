# SPDX-License-Identifier: Apache-2.0
"""A container in a guest, as the host handles it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import Any

from kata_host.client.container_process import ContainerProcess
from kata_host.client.ended_start import start_or_end
from kata_host.client.stream_port import StreamPort
from kata_host.client.streamed_process import StreamedProcess
from kata_protos import agent_pb2, oci_pb2
from kata_protos.agent_ttrpc import AgentServiceClient
from ttrpc.errors import StatusError


class GuestContainer:
    """A container that the agent has created; `init` is its first process.

    Every method raises `StatusError` if the agent refuses, and `Closed` if the
    connection is lost.
    """

    def __init__(
        self, agent: AgentServiceClient, container_id: str, *, terminal: bool = False
    ) -> None:
        """`terminal` says that the first process is on one."""
        self.id = container_id
        self.init = ContainerProcess(
            agent, container_id, container_id, terminal=terminal
        )
        self._agent = agent

    async def start(self) -> None:
        """Start the first process."""
        request = agent_pb2.StartContainerRequest(container_id=self.id)
        await self._agent.start_container(request)

    async def exec(
        self,
        exec_id: str,
        process: oci_pb2.Process,
        *,
        user: agent_pb2.StringUser | None = None,
        port: StreamPort | None = None,
    ) -> ContainerProcess:
        """Start one more process in the container.

        What `process` leaves out is the container's own (`additional_process`). A
        `user` is looked up in the container. With a `port`, the process is a
        `StreamedProcess` if the agent connects there, as Kata's agents do not.

        No other process of the container may have the id `exec_id`. A caller that is
        cancelled, by a timeout for example, ends the process or its start. The guest
        has nothing of either when the caller goes on, unless the guest takes longer
        than `ENDING_TIMEOUT`.
        """
        request = agent_pb2.ExecProcessRequest(
            container_id=self.id, exec_id=exec_id, process=process, string_user=user
        )
        if port is not None:
            setattr(request, f"{port.stream}_port", port.number)
        started = ContainerProcess(
            self._agent, self.id, exec_id, terminal=process.Terminal
        )

        async def end(call: asyncio.Future[Any]) -> None:
            with contextlib.suppress(StatusError):
                # Kata's agents find no process before it has started.
                await started.signal(signal.SIGKILL)
            # The answer says that nothing is left.
            await call
            await started.signal(signal.SIGKILL)
            await started.wait()

        await start_or_end(self._agent.exec_process(request), end)
        if port is None or (connection := port.take()) is None:
            return started
        return StreamedProcess(self._agent, self.id, exec_id, port.stream, connection)

    async def kill(self) -> None:
        """Send SIGKILL to every process of the container."""
        # Without an exec id, SIGKILL is for the whole container.
        request = agent_pb2.SignalProcessRequest(
            container_id=self.id, signal=signal.SIGKILL
        )
        await self._agent.signal_process(request)

    async def remove(self) -> None:
        """End every process of the container and remove the container."""
        request = agent_pb2.RemoveContainerRequest(container_id=self.id)
        await self._agent.remove_container(request)
