# SPDX-License-Identifier: Apache-2.0
"""StartTracing and StopTracing over a real connection, with Kata 1.x's rules."""

from pathlib import Path

import pytest
from google.protobuf.empty_pb2 import Empty

from kata_agent.rpc.status import to_status
from kata_agent.rpc.tracing import TracingService
from kata_protos import agent_pb2
from kata_protos.agent_ttrpc import AgentServiceClient
from kata_tracing.server_interceptor import server_interceptor
from kata_tracing.tracing import Tracing
from tests.helpers.trace_port import fake_collector
from ttrpc.aio import Client, Server
from ttrpc.bound_service import bind
from ttrpc.call_context import CallContext
from ttrpc.codes import Code
from ttrpc.errors import StatusError


class Pausing:
    def pause_container(
        self, request: agent_pb2.PauseContainerRequest, context: CallContext
    ) -> Empty:
        return Empty()


async def test_start_and_stop(tmp_path: Path) -> None:
    service = agent_pb2.DESCRIPTOR.services_by_name["AgentService"]
    start, stop = agent_pb2.StartTracingRequest(), agent_pb2.StopTracingRequest()
    with fake_collector(tmp_path / "port") as collector:
        tracing = Tracing(collector.connect)
        server = Server(
            [bind(service, TracingService(tracing), Pausing())],
            interceptors=[server_interceptor(tracing, to_status)],
            status_of=to_status,
        )
        address = f"unix://{tmp_path}/agent.sock"
        await server.listen(address)
        async with await Client.connect(address) as client:
            agent = AgentServiceClient(client)
            for turn in range(1, 3):
                with pytest.raises(StatusError) as caught:
                    await agent.stop_tracing(stop)
                assert caught.value.code is Code.FAILED_PRECONDITION
                assert caught.value.message == "tracing not enabled"
                await agent.start_tracing(start)
                with pytest.raises(StatusError) as caught:
                    await agent.start_tracing(start)
                assert caught.value.code is Code.FAILED_PRECONDITION
                assert caught.value.message == "tracing already enabled"
                await agent.pause_container(agent_pb2.PauseContainerRequest())
                await agent.stop_tracing(stop)
                # When the call is answered, the spans have arrived.
                names = [it.name for it in collector.spans()]
                assert names == ["grpc.AgentService/PauseContainer"] * turn
        await server.shutdown(1)
