# SPDX-License-Identifier: Apache-2.0
"""A container in a guest, seen from outside."""

from __future__ import annotations

from kata_host.client.container_process import ContainerProcess
from kata_protos import agent_pb2, oci_pb2
from kata_protos.agent_ttrpc import AgentServiceClient


class Container:
    """A container that was created; `init` is its first process."""

    def __init__(self, agent: AgentServiceClient, container_id: str) -> None:
        self.id = container_id
        self.init = ContainerProcess(agent, container_id, container_id)
        self._agent = agent

    async def start(self) -> None:
        request = agent_pb2.StartContainerRequest(container_id=self.id)
        await self._agent.start_container(request)

    async def exec(self, exec_id: str, process: oci_pb2.Process) -> ContainerProcess:
        """Start one more process in the container, under a name of its own."""
        request = agent_pb2.ExecProcessRequest(
            container_id=self.id, exec_id=exec_id, process=process
        )
        await self._agent.exec_process(request)
        return ContainerProcess(self._agent, self.id, exec_id)

    async def kill(self) -> None:
        """Send SIGKILL to every process of the container."""
        # "" is the whole container, for this signal.
        request = agent_pb2.SignalProcessRequest(container_id=self.id, signal=9)
        await self._agent.signal_process(request)

    async def remove(self) -> None:
        """End what still runs and remove all traces of the container."""
        request = agent_pb2.RemoveContainerRequest(container_id=self.id)
        await self._agent.remove_container(request)
