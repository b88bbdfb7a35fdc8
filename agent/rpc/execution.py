# SPDX-License-Identifier: Apache-2.0
"""The life of the sandbox, its containers and their processes."""

from __future__ import annotations

from google.protobuf.empty_pb2 import Empty
from google.protobuf.unknown_fields import UnknownFieldSet

from kata_agent.errors import InvalidArgument
from kata_agent.sandbox.sandbox import Sandbox
from kata_protos import agent_pb2
from kata_protos.agent_ttrpc import AgentServiceBase
from ttrpc.call_context import CallContext

AGENT_PIDNS_FIELD = 8
"""The number of the bool `agent_pidns` of Kata 1.x. In 4.x a repeated message has the
number, so that the value of a 1.x client arrives as an unknown varint."""


class ExecutionService(AgentServiceBase):
    """Part of grpc.AgentService."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def create_sandbox(
        self, request: agent_pb2.CreateSandboxRequest, context: CallContext
    ) -> Empty:
        await self._sandbox.create(request)
        return Empty()

    async def destroy_sandbox(
        self, request: agent_pb2.DestroySandboxRequest, context: CallContext
    ) -> Empty:
        await self._sandbox.destroy()
        return Empty()

    async def create_container(
        self, request: agent_pb2.CreateContainerRequest, context: CallContext
    ) -> Empty:
        await self._sandbox.create_container(
            request, agent_pid=_wants_agent_pid(request)
        )
        return Empty()

    async def start_container(
        self, request: agent_pb2.StartContainerRequest, context: CallContext
    ) -> Empty:
        await self._sandbox.start_container(request.container_id)
        return Empty()

    async def remove_container(
        self, request: agent_pb2.RemoveContainerRequest, context: CallContext
    ) -> Empty:
        await self._sandbox.remove_container(request.container_id, request.timeout)
        return Empty()

    async def exec_process(
        self, request: agent_pb2.ExecProcessRequest, context: CallContext
    ) -> Empty:
        if not request.HasField("process"):
            raise InvalidArgument(
                f"container {request.container_id!r}: no process to execute"
            )
        await self._sandbox.exec_process(request)
        return Empty()

    async def signal_process(
        self, request: agent_pb2.SignalProcessRequest, context: CallContext
    ) -> Empty:
        container = self._sandbox.container(request.container_id)
        await container.signal(request.exec_id, request.signal)
        return Empty()

    async def wait_process(
        self, request: agent_pb2.WaitProcessRequest, context: CallContext
    ) -> agent_pb2.WaitProcessResponse:
        container = self._sandbox.container(request.container_id)
        status = await container.processes.wait(request.exec_id)
        return agent_pb2.WaitProcessResponse(status=status)


def _wants_agent_pid(request: agent_pb2.CreateContainerRequest) -> bool:
    unknown = UnknownFieldSet(request)
    fields = (unknown[index] for index in range(len(unknown)))
    return any(
        field.field_number == AGENT_PIDNS_FIELD and field.data == 1 for field in fields
    )
