# SPDX-License-Identifier: Apache-2.0
"""The standard streams of processes, polled by the client."""

from __future__ import annotations

from collections.abc import Awaitable

from google.protobuf.empty_pb2 import Empty

from kata_agent.container.process import Process
from kata_agent.errors import Unavailable
from kata_agent.sandbox.sandbox import Sandbox
from kata_protos import agent_pb2
from kata_protos.agent_ttrpc import AgentServiceBase
from ttrpc.call_context import CallContext


class StdioService(AgentServiceBase):
    """Part of grpc.AgentService. An empty answer to a read is the end of the stream."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def write_stdin(
        self, request: agent_pb2.WriteStreamRequest, context: CallContext
    ) -> agent_pb2.WriteStreamResponse:
        process = self._find(request.container_id, request.exec_id)
        if not request.data:
            # runtime-rs ends the input this way.
            process.end_input()
            return agent_pb2.WriteStreamResponse(len=0)
        written = await process.stdio.input.write(request.data)
        return agent_pb2.WriteStreamResponse(len=written)

    def read_stdout(
        self, request: agent_pb2.ReadStreamRequest, context: CallContext
    ) -> agent_pb2.ReadStreamResponse | Awaitable[agent_pb2.ReadStreamResponse]:
        return self._read(request, stderr=False)

    def read_stderr(
        self, request: agent_pb2.ReadStreamRequest, context: CallContext
    ) -> agent_pb2.ReadStreamResponse | Awaitable[agent_pb2.ReadStreamResponse]:
        return self._read(request, stderr=True)

    def _read(
        self, request: agent_pb2.ReadStreamRequest, *, stderr: bool
    ) -> agent_pb2.ReadStreamResponse | Awaitable[agent_pb2.ReadStreamResponse]:
        # A read of a busy stream needs no task, which takes a tenth of such a call.
        processes = self._sandbox.container(request.container_id).processes
        exec_id, limit = request.exec_id, request.len
        data = processes.read_now(exec_id, stderr=stderr, limit=limit)
        if data is None:
            return _response(processes.read(exec_id, stderr=stderr, limit=limit))
        return agent_pb2.ReadStreamResponse(data=data)

    def close_stdin(
        self, request: agent_pb2.CloseStdinRequest, context: CallContext
    ) -> Empty:
        self._find(request.container_id, request.exec_id).end_input()
        return Empty()

    def tty_win_resize(
        self, request: agent_pb2.TtyWinResizeRequest, context: CallContext
    ) -> Empty:
        resize = self._find(request.container_id, request.exec_id).stdio.resize
        if resize is None:
            raise Unavailable(f"container {request.container_id!r}: no tty")
        resize(request.row, request.column)
        return Empty()

    def _find(self, container_id: str, exec_id: str) -> Process:
        return self._sandbox.container(container_id).processes.find(exec_id)


async def _response(data: Awaitable[bytes]) -> agent_pb2.ReadStreamResponse:
    return agent_pb2.ReadStreamResponse(data=await data)
