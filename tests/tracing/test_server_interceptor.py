# SPDX-License-Identifier: Apache-2.0
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from kata_host.trace.received_span import ReceivedSpan, SpanStatus
from kata_protos import agent_pb2
from kata_tracing.server_interceptor import server_interceptor
from kata_tracing.span import span
from kata_tracing.span_kind import SpanKind
from kata_tracing.tracing import Tracing
from tests.helpers.trace_port import FakeCollector, fake_collector
from ttrpc.call_context import CallContext
from ttrpc.codes import Code
from ttrpc.errors import StatusError
from ttrpc.service import Service

SERVICE = Service.from_descriptor(agent_pb2.DESCRIPTOR.services_by_name["AgentService"])
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
UBER = "a3ce929d0e0e4736:51:0:1"
U_T, U_P = f"{0xA3CE929D0E0E4736:032x}", f"{0x51:016x}"
GARBAGE = "\x00\x1b[31m,;=:-é" * 1000


def status_of(error: BaseException) -> StatusError:
    if isinstance(error, StatusError):
        return error
    return StatusError(Code.INTERNAL, "")


class Server:
    """Calls the interceptor as a server does."""

    def __init__(self, tracing: Tracing, collector: FakeCollector) -> None:
        self.tracing = tracing
        self.collector = collector
        self._interceptor = server_interceptor(tracing, status_of)

    async def call(
        self, method: str, request: Any, error: BaseException | None = None, **sent: str
    ) -> Any:
        pairs = [(key.replace("_", "-"), value) for key, value in sent.items()]
        context = CallContext(SERVICE.methods[method], metadata=pairs)

        async def proceed(request: Any, context: CallContext) -> str:
            with span("inside.handler", subsystem="test"):
                if error is not None:
                    raise error
            return "response"

        return await self._interceptor(request, context, proceed)

    async def spans(self) -> dict[str, ReceivedSpan]:
        await self.tracing.stop()
        return {it.name: it for it in self.collector.spans()}


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    with fake_collector(tmp_path / "guest.sock_10240") as collector:
        tracing = Tracing(collector.connect)
        yield Server(tracing, collector)
        await tracing.stop()


CREATE = "grpc.AgentService/CreateContainer"


async def test_calls_pass_through_while_tracing_is_off(server: Server) -> None:
    request = agent_pb2.CreateContainerRequest()
    assert await server.call("CreateContainer", request) == "response"
    assert server.collector.connections == 0


async def test_a_call_is_a_server_span(server: Server) -> None:
    await server.tracing.start("collated")
    request = agent_pb2.CreateContainerRequest(container_id="c1", exec_id="e1")
    request.OCI.Process.Env.append("PASSWORD=secret")
    assert await server.call("CreateContainer", request) == "response"
    found = await server.spans()
    call = found[CREATE]
    assert call.kind is SpanKind.SERVER
    assert call.attributes == {
        "subsystem": "rpc",
        "source": "agent",
        "rpc.system.name": "ttrpc",
        "rpc.method": CREATE,
        "rpc.response.status_code": "OK",
        "container.id": "c1",
        "agent.exec.id": "e1",
    }
    assert found["inside.handler"].parent_id == call.span_id
    assert call.parent_id == ""
    assert all(b"secret" not in it.body for it in server.collector.requests)


@pytest.mark.parametrize(
    ("kind", "sent", "trace", "parent"),
    [
        ("collated", {"traceparent": PARENT}, TRACE, SPAN),
        ("isolated", {"traceparent": PARENT}, None, ""),
        (
            "collated",
            {"uber_trace_id": UBER},
            f"{0xA3CE929D0E0E4736:032x}",
            f"{0x51:016x}",
        ),
        ("collated", {"uber_trace_id": UBER, "traceparent": PARENT}, TRACE, SPAN),
        ("collated", {"traceparent": GARBAGE, "uber_trace_id": GARBAGE}, None, ""),
        ("collated", {"traceparent": PARENT, "tracestate": GARBAGE}, TRACE, SPAN),
        ("collated", {"traceparent": "00-1-2-3"}, None, ""),
        ("collated", {"traceparent": PARENT + "-" + "x" * 10_000}, None, ""),
        ("collated", {"traceparent": "x" * 10_000, "uber_trace_id": UBER}, U_T, U_P),
        ("isolated", {"uber_trace_id": UBER}, None, ""),
        ("collated", {}, None, ""),
    ],
)
async def test_collated_tracing_takes_the_callers_context(
    server: Server, kind: str, sent: dict[str, str], trace: str | None, parent: str
) -> None:
    await server.tracing.start(kind)
    await server.call("CreateContainer", agent_pb2.CreateContainerRequest(), **sent)
    call = (await server.spans())[CREATE]
    assert call.parent_id == parent
    assert trace is None or call.trace_id == trace


async def test_a_call_whose_caller_does_not_sample_is_not_recorded(
    server: Server,
) -> None:
    await server.tracing.start("collated")
    request = agent_pb2.CreateContainerRequest()
    await server.call("CreateContainer", request, traceparent=PARENT[:-1] + "0")
    assert not await server.spans()


async def test_isolated_tracing_ignores_the_caller(server: Server) -> None:
    await server.tracing.start("isolated")
    request = agent_pb2.CreateContainerRequest()
    await server.call("CreateContainer", request, traceparent=PARENT[:-1] + "0")
    assert set(await server.spans()) == {CREATE, "inside.handler"}


async def test_isolated_roots_link_to_the_boot(server: Server) -> None:
    await server.tracing.start("isolated")
    with server.tracing.boot(since=0):
        pass
    await server.call("CreateContainer", agent_pb2.CreateContainerRequest())
    found = await server.spans()
    boot = found["agent.boot"]
    assert found[CREATE].links == ((boot.trace_id, boot.span_id),)


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (StatusError(Code.NOT_FOUND, "secret"), "NOT_FOUND", SpanStatus.UNSET),
        (StatusError(Code.UNAVAILABLE, "secret"), "UNAVAILABLE", SpanStatus.ERROR),
        (StatusError(77, "secret"), "77", SpanStatus.UNSET),
        (RuntimeError("secret"), "INTERNAL", SpanStatus.ERROR),
        (asyncio.CancelledError(), "CANCELLED", SpanStatus.UNSET),
    ],
)
@pytest.mark.parametrize("method", ["CreateContainer", "WaitProcess"])
async def test_only_faults_of_the_server_are_errors(
    server: Server, method: str, error: BaseException, code: str, status: SpanStatus
) -> None:
    await server.tracing.start("collated")
    with pytest.raises(type(error)):
        await server.call(method, agent_pb2.WaitProcessRequest(), error)
    call = (await server.spans())[f"grpc.AgentService/{method}"]
    assert call.attributes["rpc.response.status_code"] == code
    assert call.status is status
    assert ("error.type" in call.attributes) == (status is SpanStatus.ERROR)
    assert all(b"secret" not in it.body for it in server.collector.requests)


async def test_a_long_poll_holds_no_span_open(server: Server) -> None:
    """Its span is made when it returns, and starts when the call came."""
    await server.tracing.start("collated")
    request = agent_pb2.ReadStreamRequest(container_id="c1")
    await server.call("ReadStdout", request)
    found = await server.spans()
    call = found["grpc.AgentService/ReadStdout"]
    assert call.attributes["api-category"] == "interactive"
    assert call.attributes["container.id"] == "c1"
    inside = found["inside.handler"]
    assert call.start <= inside.start
    assert inside.end <= call.end


async def test_the_calls_that_switch_tracing_are_not_traced(server: Server) -> None:
    await server.tracing.start("collated")
    await server.call("StopTracing", agent_pb2.StopTracingRequest())
    assert "grpc.AgentService/StopTracing" not in await server.spans()


async def test_spans_have_the_sandbox_id_and_are_flushed_at_its_end(
    server: Server,
) -> None:
    await server.tracing.start("collated")
    request = agent_pb2.CreateSandboxRequest(sandbox_id="sb-1")
    await server.call("CreateSandbox", request)
    assert server.tracing.sandbox_id == "sb-1"
    await server.call("DestroySandbox", agent_pb2.DestroySandboxRequest())
    # Tracing has not stopped: the call itself flushed.
    names = {it.name: it for it in server.collector.spans()}
    destroy = names["grpc.AgentService/DestroySandbox"]
    assert destroy.attributes["sandbox.id"] == "sb-1"
