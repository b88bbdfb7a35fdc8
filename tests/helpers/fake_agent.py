# SPDX-License-Identifier: Apache-2.0
"""An agent that keeps its requests and does nothing."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from google.protobuf.empty_pb2 import Empty

from kata_protos import agent_pb2, health_pb2, types_pb2
from ttrpc.aio import Server
from ttrpc.bound_service import bind
from ttrpc.call_context import CallContext
from ttrpc.codes import Code
from ttrpc.errors import StatusError


class FakeAgent:
    """Serves grpc.AgentService and grpc.Health. Calls named in `refused` fail, and
    those named in `silent` have no answer."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.refused: set[str] = set()
        self.silent: set[str] = set()
        self.code = Code.INTERNAL
        """Of the errors of refused calls."""
        self.processes = b""
        self.stdout: list[bytes] = []
        """Chunks that are read from every process, the first first."""
        self.stderr: list[bytes] = []
        self.status = 7
        self.stats = agent_pb2.StatsContainerResponse()
        self.may_end = asyncio.Event()
        """Cleared, processes go on: their end waits for it, or for SIGKILL."""
        self.may_end.set()
        self.may_start = asyncio.Event()
        """Cleared, the starts of execs wait for it."""
        self.may_start.set()
        self._arrived = asyncio.Condition()

    def names(self) -> list[str]:
        return [
            type(request).__name__.removesuffix("Request") for request in self.requests
        ]

    async def received(self, name: str) -> Any:
        """Wait for the first request of a kind, `SignalProcess`, and take it."""

        def found() -> Any:
            kinds = zip(self.names(), self.requests, strict=True)
            return next((request for kind, request in kinds if kind == name), None)

        async with self._arrived:
            request = await self._arrived.wait_for(found)
            self.requests.remove(request)
            return request

    async def _append(self, request: Any) -> None:
        async with self._arrived:
            self.requests.append(request)
            self._arrived.notify_all()

    async def _keep(self, request: Any, context: CallContext) -> Empty:
        await self._append(request)
        if context.method.name in self.refused:
            raise StatusError(self.code, f"{context.method.name} refused")
        if context.method.name in self.silent:
            await asyncio.Event().wait()
        return Empty()

    create_sandbox = _keep
    destroy_sandbox = _keep
    create_container = _keep
    start_container = _keep
    remove_container = _keep
    close_stdin = _keep
    tty_win_resize = _keep
    copy_file = _keep

    async def signal_process(
        self, request: agent_pb2.SignalProcessRequest, context: CallContext
    ) -> Empty:
        result = await self._keep(request, context)
        if request.signal == signal.SIGKILL:
            self.may_end.set()
        return result

    async def exec_process(
        self, request: agent_pb2.ExecProcessRequest, context: CallContext
    ) -> Empty:
        result = await self._keep(request, context)
        await self.may_start.wait()
        return result

    async def update_interface(
        self, request: agent_pb2.UpdateInterfaceRequest, context: CallContext
    ) -> types_pb2.Interface:
        await self._keep(request, context)
        return request.interface

    async def update_routes(
        self, request: agent_pb2.UpdateRoutesRequest, context: CallContext
    ) -> agent_pb2.Routes:
        await self._keep(request, context)
        return request.routes

    async def list_processes(
        self, request: agent_pb2.ListProcessesRequest, context: CallContext
    ) -> agent_pb2.ListProcessesResponse:
        await self._append(request)
        return agent_pb2.ListProcessesResponse(process_list=self.processes)

    async def write_stdin(
        self, request: agent_pb2.WriteStreamRequest, context: CallContext
    ) -> agent_pb2.WriteStreamResponse:
        await self._keep(request, context)
        return agent_pb2.WriteStreamResponse(len=len(request.data))

    async def read_stdout(
        self, request: agent_pb2.ReadStreamRequest, context: CallContext
    ) -> agent_pb2.ReadStreamResponse:
        return agent_pb2.ReadStreamResponse(
            data=self.stdout.pop(0) if self.stdout else b""
        )

    async def read_stderr(
        self, request: agent_pb2.ReadStreamRequest, context: CallContext
    ) -> agent_pb2.ReadStreamResponse:
        return agent_pb2.ReadStreamResponse(
            data=self.stderr.pop(0) if self.stderr else b""
        )

    async def wait_process(
        self, request: agent_pb2.WaitProcessRequest, context: CallContext
    ) -> agent_pb2.WaitProcessResponse:
        await self._append(request)
        await self.may_end.wait()
        return agent_pb2.WaitProcessResponse(status=self.status)

    async def stats_container(
        self, request: agent_pb2.StatsContainerRequest, context: CallContext
    ) -> agent_pb2.StatsContainerResponse:
        await self._append(request)
        if context.method.name in self.refused:
            raise StatusError(self.code, f"{context.method.name} refused")
        return self.stats

    async def check(
        self, request: health_pb2.CheckRequest, context: CallContext
    ) -> health_pb2.HealthCheckResponse:
        return health_pb2.HealthCheckResponse()

    async def version(
        self, request: health_pb2.CheckRequest, context: CallContext
    ) -> health_pb2.VersionCheckResponse:
        return health_pb2.VersionCheckResponse(agent_version="1.2.3")


@contextlib.asynccontextmanager
async def serving(agent: FakeAgent, path: Path) -> AsyncIterator[str]:
    """Serve `agent` on the unix socket `path` during the block; yield the address."""
    services = [
        agent_pb2.DESCRIPTOR.services_by_name["AgentService"],
        health_pb2.DESCRIPTOR.services_by_name["Health"],
    ]
    server = Server([bind(service, agent) for service in services])
    await server.listen(f"unix://{path}")
    try:
        yield f"unix://{path}"
    finally:
        await server.shutdown(timeout=5)
