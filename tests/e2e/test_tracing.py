# SPDX-License-Identifier: Apache-2.0
"""The traces of a container's life, delivered to a real collector.

agent -> guest.sock_10240 -> socat or forwarder -> rotel -> socat -> receiver
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from kata_host.client import AgentClient, BlockingAgentClient
from kata_host.client.spec import default_process, default_spec, writable_layer
from kata_host.ctl.rootfs import make_busybox
from kata_host.forwarder import Receiver
from kata_host.guest.local_guest import LocalGuest
from kata_host.trace.received_span import ReceivedSpan, SpanStatus
from kata_protos import agent_pb2, oci_pb2
from kata_tracing.http1.message import format_response
from kata_tracing.span_kind import SpanKind
from tests.helpers import catalogue
from tests.helpers.collector import forwarder, free_port, rotel, socat, tcp_to
from tests.helpers.trace_port import HANG, OK, FakeCollector, fake_collector
from ttrpc.errors import StatusError

HOOK: Final = "#!/bin/sh\nexit 0\n"
SECRET: Final = "hunter2"
CREATE: Final = "grpc.AgentService/CreateContainer"
ENOUGH: Final = 15000
"""Milliseconds in which a flush to a collector that answers ends on a busy machine."""
DEFAULT: Final = 1000


@asynccontextmanager
async def traced(
    scratch: Path, kind: str = "isolated", *, flush: int = ENOUGH
) -> AsyncIterator[LocalGuest]:
    """Run a traced guest, whose last flush may take `flush` milliseconds."""
    environment = {"KATA_AGENT_TRACING": kind}
    parameters = [f"agent.trace_flush_ms={flush}"]
    with LocalGuest(
        scratch / "guest", environment=environment, parameters=parameters
    ) as guest:
        make_busybox(guest.directory / "rootfs")
        yield guest


class Life:
    """A sandbox and one container in it, step by step."""

    def __init__(self, guest: LocalGuest, client: AgentClient) -> None:
        self._client = client
        self._rootfs = str(guest.directory / "rootfs")
        self._hook = guest.directory / "hook"
        self._hook.write_text(HOOK)
        self._hook.chmod(0o755)

    async def begin(self) -> None:
        await self._client.create_sandbox("s1")
        storage, root = writable_layer("c1", self._rootfs)
        process = default_process(
            ["sh", "-c", f"sleep 1000; : {SECRET}"], env={"PASSWORD": SECRET}
        )
        spec = default_spec("c1", process, rootfs=root)
        hook = oci_pb2.Hook(Path=str(self._hook), Args=[SECRET], Env=[f"A={SECRET}"])
        spec.Hooks.Poststart.append(hook)
        self.container = await self._client.create_container("c1", spec, [storage])
        await self.container.start()

    async def go_on(self) -> None:
        execution = await self.container.exec("e1", default_process(["false"]))
        assert await execution.wait() == 1

    async def end(self) -> None:
        await self.container.remove()
        await self._client.destroy_sandbox()


async def closing(guest: LocalGuest) -> dict[str, Any]:
    """Wait for the agent's end; return the counts of its last log line on tracing."""
    assert await asyncio.to_thread(guest.ending, 20)
    (line,) = [each for each in guest.console_tail(1000) if "tracing is off" in each]
    counts: dict[str, Any] = json.loads(line)
    return counts


def check_life(spans: list[ReceivedSpan]) -> None:
    """Check names, parents and attributes of the spans of a `Life`."""
    catalogue.check(spans)
    assert len({span.span_id for span in spans}) == len(spans)
    by_id = {span.span_id: span for span in spans}

    def path(span: ReceivedSpan) -> str:
        parent = by_id.get(span.parent_id)
        return f"{path(parent)} > {span.name}" if parent else span.name

    prefix = "grpc.AgentService/"
    found = {path(span).removeprefix(prefix) for span in spans}
    assert found >= {
        "agent.boot > system.prepare",
        "agent.boot > tracing.start",
        "agent.boot > server.listen",
        "CreateSandbox > namespace.pin",
        "CreateSandbox > namespace.share_pid",
        "CreateContainer > storage.add > storage.mount",
        "CreateContainer > spec.prepare",
        "CreateContainer > process.create > runtime.create",
        "StartContainer > process.start > runtime.start",
        "StartContainer > process.start > hook.run > program.run",
        "ExecProcess > process.exec > runtime.exec",
        "WaitProcess",
        "RemoveContainer > container.kill",
        "RemoveContainer > runtime.delete",
        "RemoveContainer > cgroup.remove",
        "RemoveContainer > storage.remove",
        "DestroySandbox > namespace.unpin",
    }
    (create,) = (span for span in spans if span.name == CREATE)
    assert create.kind is SpanKind.SERVER
    assert create.attributes["container.id"] == "c1"
    assert create.attributes["sandbox.id"] == "s1"
    exits = {
        span.attributes["agent.exec.id"]: span.attributes["process.exit.code"]
        for span in spans
        if span.name == "process.run"
    }
    assert exits == {"c1": 137, "e1": 1}
    assert not [span for span in spans if span.status is SpanStatus.ERROR]
    assert SECRET not in repr(spans)


@pytest.mark.slow
@pytest.mark.parametrize("way", [socat, forwarder])
async def test_a_real_collector_gets_a_whole_life(
    scratch: Path, tmp_path: Path, way: Any
) -> None:
    """The collector starts late, and is stopped for a while."""
    port, sink = free_port(), free_port()
    async with traced(scratch) as guest, Receiver(tmp_path / "sink") as receiver:
        with ExitStack() as stack:
            stack.enter_context(tcp_to(tmp_path / "sink", sink))
            async with AgentClient.connect(guest.address) as client:
                life = Life(guest, client)
                await life.begin()
                stack.enter_context(way(guest.socket, port))
                with rotel(tmp_path, port, sink):
                    # The spans of the boot and of three calls.
                    await receiver.wait_for(17)
                await life.go_on()
                with rotel(tmp_path, port, sink):
                    await life.end()
                    counts = await closing(guest)
                    spans = await receiver.wait_for(counts["spans_ended"])
    assert counts["spans_sent"] == counts["spans_ended"] == len(spans)
    assert counts["spans_pending"] == 0
    assert not [key for key in counts if key.startswith("dropped")]
    check_life(spans)


@pytest.mark.slow
@pytest.mark.parametrize("way", [socat, forwarder])
async def test_a_real_collector_that_hangs_for_a_while(
    scratch: Path, tmp_path: Path, way: Any
) -> None:
    """The collector accepts connections without answering for a while."""
    port, sink = free_port(), free_port()
    async with traced(scratch) as guest, Receiver(tmp_path / "sink") as receiver:
        with ExitStack() as stack:
            stack.enter_context(tcp_to(tmp_path / "sink", sink))
            stack.enter_context(way(guest.socket, port))
            collector = stack.enter_context(rotel(tmp_path, port, sink))
            async with AgentClient.connect(guest.address) as client:
                life = Life(guest, client)
                collector.send_signal(signal.SIGSTOP)
                await life.begin()
                await life.go_on()
                await until_unanswered(client)
                collector.send_signal(signal.SIGCONT)
                await life.end()
            counts = await closing(guest)
            # A batch that was in flight when the collector hung may arrive twice.
            while (
                len(unique := {it.span_id: it for it in receiver.spans()})
                < (counts["spans_ended"])
            ):
                await receiver.wait_for(len(receiver.spans()) + 1)
    assert counts["spans_sent"] == counts["spans_ended"] == len(unique)
    check_life(list(unique.values()))


async def until_unanswered(client: AgentClient) -> None:
    """Wait until the agent has sent something and got no answer."""
    request = agent_pb2.GetMetricsRequest()
    failed = re.compile(r"kata_agent_trace_deliveries_failed{.*} [1-9]")
    while not failed.search((await client.agent.get_metrics(request)).metrics):
        await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([format_response(503, "", {"Retry-After": "0"}), OK], None),
        ([format_response(400, "", {})], "refused"),
        ([HANG], "shutdown"),
        # partial_success { rejected_spans: 1 }, of each batch.
        ([format_response(200, "OK", {}, b"\x0a\x02\x08\x01")], "rejected"),
    ],
    ids=["503", "400", "hung", "partial"],
)
async def test_lost_spans_are_counted(
    scratch: Path, answers: list[bytes], reason: str | None
) -> None:
    flush = DEFAULT if answers == [HANG] else ENOUGH
    async with traced(scratch, flush=flush) as guest:
        with fake_collector(Path(f"{guest.socket}_10240")) as collector:
            collector.answers = answers
            async with AgentClient.connect(guest.address) as client:
                life = Life(guest, client)
                await life.begin()
                await life.go_on()
                await check_metrics(client)
                await life.end()
            counts = await closing(guest)
            arrived = len(collector.spans())
            lost = len(collector.requests) if reason == "rejected" else 0
    assert counts["spans_pending"] == 0
    assert counts["spans_sent"] == arrived - lost
    dropped = {key: n for key, n in counts.items() if key.startswith("dropped_")}
    missing = counts["spans_ended"] - counts["spans_sent"]
    assert dropped == ({f"dropped_{reason}": missing} if reason else {})
    assert counts["spans_ended"] > 30
    if reason is None:
        check_life(collector.spans())
        assert counts["throttled"] == 1


async def check_metrics(client: AgentClient) -> None:
    """Check that GetMetrics counts each ended span as sent, pending or dropped."""
    request = agent_pb2.GetMetricsRequest()
    page = (await client.agent.get_metrics(request)).metrics
    values = {
        name.partition("{")[2]: float(value)
        for name, _, value in (line.rpartition(" ") for line in page.splitlines())
        if name.startswith("kata_agent_trace_spans")
    }
    ended = values.pop('item="ended"}')
    assert ended == sum(values.values()) > 20


async def test_a_collector_that_never_comes(scratch: Path) -> None:
    async with traced(scratch, flush=DEFAULT) as guest:
        async with AgentClient.connect(guest.address) as client:
            life = Life(guest, client)
            await life.begin()
            await life.go_on()
            await life.end()
        counts = await closing(guest)
    assert counts["dropped_shutdown"] == counts["spans_ended"] > 30
    assert counts["send_errors"] > 0


async def test_tracing_by_calls(scratch: Path) -> None:
    """StartTracing and StopTracing, each twice, with the error texts of Kata 1.x."""
    async with traced(scratch, "false") as guest:
        socket = Path(f"{guest.socket}_10240")
        collector = FakeCollector(socket)
        collector.start()
        async with AgentClient.connect(guest.address) as client:
            start, stop = (
                agent_pb2.StartTracingRequest(),
                agent_pb2.StopTracingRequest(),
            )
            with pytest.raises(StatusError, match="tracing not enabled"):
                await client.agent.stop_tracing(stop)
            for _ in range(2):
                await client.agent.start_tracing(start)
                with pytest.raises(StatusError, match="tracing already enabled"):
                    await client.agent.start_tracing(start)
                await client.check()
                await client.agent.stop_tracing(stop)
                await client.check()
            names = [span.name for span in collector.spans()]
            await client.create_sandbox("s1")
            await client.destroy_sandbox()
        assert await asyncio.to_thread(guest.ending, 20)
        collector.stop()
    assert names == ["grpc.Health/Check"] * 2


TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
UBER = "a3ce929d0e0e4736:51:0:1"
CONTEXTS: Final[dict[str, tuple[dict[str, str], tuple[str, str] | None]]] = {
    "traceparent": ({"traceparent": PARENT}, (TRACE, SPAN)),
    "uber": ({"uber-trace-id": UBER}, (f"{0xA3CE929D0E0E4736:032x}", f"{0x51:016x}")),
    "both": ({"uber-trace-id": UBER, "traceparent": PARENT}, (TRACE, SPAN)),
    "garbage": ({"traceparent": "\x1b[2J,;=é", "uber-trace-id": "%3A%3A%3A"}, None),
    "10 kB": ({"traceparent": PARENT * 182, "tracestate": "a=b," * 2500}, None),
    "10 kB of state": (
        {"traceparent": PARENT, "tracestate": "a=b," * 2500},
        (TRACE, SPAN),
    ),
    "nothing": ({}, None),
}


async def test_a_call_is_served_with_any_trace_context(scratch: Path) -> None:
    async with traced(scratch, "collated") as guest:
        with fake_collector(Path(f"{guest.socket}_10240")) as collector:
            async with AgentClient.connect(guest.address) as client:
                for name, (metadata, _) in CONTEXTS.items():
                    # No container has this id, which tells the spans apart.
                    request = agent_pb2.StatsContainerRequest(container_id=name)
                    with pytest.raises(StatusError, match=name):
                        await client.agent.stats_container(request, metadata=metadata)
                await client.create_sandbox("s1")
                await client.destroy_sandbox()
            await closing(guest)
            spans = collector.spans()
    by_name = {span.attributes.get("container.id"): span for span in spans}
    for name, (_, parent) in CONTEXTS.items():
        span = by_name[name]
        if parent is None:
            assert span.parent_id == ""
        else:
            assert (span.trace_id, span.parent_id) == parent


async def test_a_scripts_spans_and_the_guests_are_one_trace(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script that uses OpenTelemetry, with the client that blocks."""
    memory, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(memory))
    monkeypatch.setattr("opentelemetry.trace.get_tracer", provider.get_tracer)

    def script(guest: LocalGuest) -> None:
        with (
            provider.get_tracer("script").start_as_current_span("script"),
            BlockingAgentClient(guest.address) as client,
        ):
            client.create_sandbox("s1")
            client.run(["true"], rootfs=str(guest.directory / "rootfs"))
            client.destroy_sandbox()

    async with traced(scratch, "collated") as guest:
        with fake_collector(Path(f"{guest.socket}_10240")) as collector:
            await asyncio.to_thread(script, guest)
            await closing(guest)
            spans = collector.spans()
    ours = {f"{it.context.span_id:016x}": it for it in memory.get_finished_spans()}
    (top,) = (it for it in ours.values() if it.name == "script")
    of_boot = {"agent.boot", "system.prepare", "tracing.start", "server.listen"}
    theirs = [span for span in spans if span.name not in of_boot]
    assert {span.trace_id for span in theirs} == {f"{top.context.trace_id:032x}"}
    calls = [span for span in theirs if span.kind is SpanKind.SERVER]
    assert {ours[span.parent_id].name for span in calls} >= {CREATE}
    for span in calls:
        assert ours[span.parent_id].name == span.name


async def test_spans_of_kata_agent_ctl_are_children_of_its_caller(
    scratch: Path, environment: dict[str, str]
) -> None:
    async with traced(scratch, "collated") as guest:
        with fake_collector(Path(f"{guest.socket}_10240")) as collector:
            for call in ("CreateSandbox", "DestroySandbox"):
                program = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "kata_host.ctl", "call"),
                    *(f"--address={guest.address}", call, "{}"),
                    env={**environment, "TRACEPARENT": PARENT},
                )
                assert await program.wait() == 0
            await closing(guest)
            spans = collector.spans()
    calls = [span for span in spans if span.kind is SpanKind.SERVER]
    assert len(calls) == 2
    assert {(span.trace_id, span.parent_id) for span in calls} == {(TRACE, SPAN)}
