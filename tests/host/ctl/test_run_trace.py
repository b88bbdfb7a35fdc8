# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)

from kata_host.client import AgentClient
from kata_host.ctl.run_trace import RunTrace
from kata_host.guest.guest import OwnGuest
from tests.helpers.fake_agent import FakeAgent

COPY_FILE = "grpc.AgentService/CopyFile"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class FakeGuest:
    """A guest that has ended."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket

    def ending(self, timeout: float = 0) -> str | None:
        return "exit status 0"


async def send(socket: Path, *names: str) -> None:
    """Deliver spans without a parent, as the boot's are."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number, name in enumerate(names, start=1):
        scope.spans.add(
            name=name,
            trace_id=bytes(16),
            span_id=number.to_bytes(8, "big"),
            start_time_unix_nano=number * 10**9,
            end_time_unix_nano=(number + 1) * 10**9,
        )
    body = request.SerializeToString()
    reader, writer = await asyncio.open_unix_connection(f"{socket}_10240")
    writer.write(
        b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf"
        b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )
    assert (await reader.readline()).split()[1] == b"200"
    writer.close()


async def test_the_guests_spans_are_below_the_commands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    guest = FakeGuest(tmp_path / "g")
    async with RunTrace(cast(OwnGuest, guest), "kata-agent-ctl run", 10**9):
        await send(guest.socket, "agent.boot", *[COPY_FILE] * 5)
    lines = capsys.readouterr().err.splitlines()
    names = [" ".join(line.split()[:3]) for line in lines]
    assert names[0] == "kata-agent-ctl run " + names[0].split()[-1]
    assert names[1].startswith("├─ agent.boot")
    assert names[2] == f"└─ {COPY_FILE} (x5)"
    assert len(lines) == 3


async def test_a_call_names_the_commands_span_as_its_parent(
    agent: FakeAgent, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACEPARENT", f"00-{TRACE}-{SPAN}-01")
    guest = FakeGuest(tmp_path / "g")
    sent: list[str] = []

    async def keep(request: Any, context: Any, proceed: Any) -> Any:
        sent.extend(context.metadata.get_all("traceparent"))
        return await proceed(request, context)

    trace = RunTrace(cast(OwnGuest, guest), "kata-agent-ctl run", 10**9)
    interceptors = [trace.interceptor, keep]
    async with trace, AgentClient.connect(address, interceptors=interceptors) as client:
        await client.create_sandbox("s1")
    (traceparent,) = sent
    version, trace_id, span_id, flags = traceparent.split("-")
    assert (version, trace_id, flags) == ("00", TRACE, "01")
    assert span_id != SPAN
