# SPDX-License-Identifier: Apache-2.0
"""Containers as a whole: resources, statistics, freezing, lists, events."""

from __future__ import annotations

from google.protobuf.empty_pb2 import Empty

from kata_agent.sandbox.sandbox import Sandbox
from kata_protos import agent_pb2
from kata_protos.agent_ttrpc import AgentServiceBase
from ttrpc.call_context import CallContext


class ContainersService(AgentServiceBase):
    """Part of grpc.AgentService."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def update_container(
        self, request: agent_pb2.UpdateContainerRequest, context: CallContext
    ) -> Empty:
        await self._sandbox.update_container(request.container_id, request.resources)
        return Empty()

    async def stats_container(
        self, request: agent_pb2.StatsContainerRequest, context: CallContext
    ) -> agent_pb2.StatsContainerResponse:
        return await self._sandbox.container(request.container_id).stats()

    async def pause_container(
        self, request: agent_pb2.PauseContainerRequest, context: CallContext
    ) -> Empty:
        await self._sandbox.pause_container(request.container_id)
        return Empty()

    async def resume_container(
        self, request: agent_pb2.ResumeContainerRequest, context: CallContext
    ) -> Empty:
        await self._sandbox.resume_container(request.container_id)
        return Empty()

    async def list_processes(
        self, request: agent_pb2.ListProcessesRequest, context: CallContext
    ) -> agent_pb2.ListProcessesResponse:
        listed = await self._sandbox.list_processes(
            request.container_id, request.format, request.args
        )
        return agent_pb2.ListProcessesResponse(process_list=listed)

    async def get_oom_event(
        self, request: agent_pb2.GetOOMEventRequest, context: CallContext
    ) -> agent_pb2.OOMEvent:
        return agent_pb2.OOMEvent(container_id=await self._sandbox.oom_events.next())

    async def update_ephemeral_mounts(
        self, request: agent_pb2.UpdateEphemeralMountsRequest, context: CallContext
    ) -> Empty:
        await self._sandbox.update_ephemeral_mounts(request.storages)
        return Empty()

    async def get_diagnostic_data(
        self, request: agent_pb2.GetDiagnosticDataRequest, context: CallContext
    ) -> agent_pb2.GetDiagnosticDataResponse:
        container = self._sandbox.container(request.container_id)
        data = await container.diagnostic(request.log_type)
        return agent_pb2.GetDiagnosticDataResponse(data=data)
