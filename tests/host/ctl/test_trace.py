# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl trace` against the real tracing RPCs, over a hybrid-vsock socket."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from google.protobuf.empty_pb2 import Empty

from kata_agent.rpc.status import to_status
from kata_agent.rpc.tracing import TracingService
from kata_protos import agent_pb2
from kata_protos.agent_ttrpc import AgentServiceClient
from kata_tracing.server_interceptor import server_interceptor
from kata_tracing.span import span
from kata_tracing.tracing import Tracing
from tests.helpers.trace_port import FakeCollector
from ttrpc.aio import Client, Server
from ttrpc.bound_service import bind
from ttrpc.call_context import CallContext

SERVICE = agent_pb2.DESCRIPTOR.services_by_name["AgentService"]


class Pausing:
    def pause_container(
        self, request: agent_pb2.PauseContainerRequest, context: CallContext
    ) -> Empty:
        with span("cgroup.freeze", {"what": "\x1b[31m<script>"}, subsystem="container"):
            return Empty()


async def hybrid_vsock(path: Path, server: Server) -> asyncio.Server:
    """Answer `CONNECT 1024` and hand the connection to the server."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"CONNECT 1024\n"
        writer.write(b"OK 1\n")
        await writer.drain()
        ours, theirs = await asyncio.open_unix_connection(f"{path}.inner")

        async def copy(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                to.write(data)
            to.close()

        await asyncio.gather(copy(reader, theirs), copy(ours, writer))

    await server.listen(f"unix://{path}.inner")
    return await asyncio.start_unix_server(serve, path)


class TracedGuest:
    """A guest whose agent can be traced, and `kata-agent-ctl trace` on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        port = FakeCollector(Path(f"{path}_10240"))
        self.tracing = Tracing(port.connect)

    @asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        server = Server(
            [bind(SERVICE, TracingService(self.tracing), Pausing())],
            interceptors=[server_interceptor(self.tracing, to_status)],
            status_of=to_status,
        )
        async with await hybrid_vsock(self.path, server):
            yield
        await server.shutdown(1)

    async def trace(self, *options: str, stdout: int) -> asyncio.subprocess.Process:
        """Start the program, and return it once tracing is on."""
        program = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "kata_host.ctl", "trace", f"hvsock://{self.path}", *options),
            stdout=stdout,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        while self.tracing.tracer is None:
            await asyncio.sleep(0.01)
        return program

    async def pause(self) -> None:
        """Call the agent, which is one trace."""
        async with await Client.connect(f"unix://{self.path}.inner") as client:
            request = agent_pb2.PauseContainerRequest(container_id="c1")
            await AgentServiceClient(client).pause_container(request)


async def test_a_call_is_printed_live_and_written_into_a_page(tmp_path: Path) -> None:
    guest = TracedGuest(tmp_path / "guest.sock")
    page = tmp_path / "trace.html"
    async with guest.served():
        program = await guest.trace(f"--html={page}", stdout=asyncio.subprocess.PIPE)
        await guest.pause()
        assert program.stdout is not None
        first = (await program.stdout.readline()).decode()
        assert first.startswith("grpc.AgentService/PauseContainer container.id=c1")
        second = (await program.stdout.readline()).decode()
        assert second.startswith("└─ cgroup.freeze")
        assert "\x1b" not in second
        program.send_signal(signal.SIGINT)
        assert await program.wait() == 0
        assert guest.tracing.tracer is None
    text = page.read_text()
    assert "grpc.AgentService/PauseContainer" in text
    assert "<script>" in text
    assert text.count("<script>") == 1
    assert "http" not in text.replace("http-equiv", "")


async def test_a_guest_that_ends_ends_the_trace_and_leaves_its_page(
    tmp_path: Path,
) -> None:
    guest = TracedGuest(tmp_path / "guest.sock")
    page = tmp_path / "trace.html"
    async with guest.served():
        program = await guest.trace(f"--html={page}", stdout=asyncio.subprocess.PIPE)
        await guest.pause()
        assert program.stdout is not None
        await program.stdout.readline()
    assert await program.wait() == 1
    assert "PauseContainer" in page.read_text()


async def test_output_without_a_reader_ends_the_trace(tmp_path: Path) -> None:
    guest = TracedGuest(tmp_path / "guest.sock")
    reader, writer = os.pipe()
    async with guest.served():
        program = await guest.trace(stdout=writer)
        os.close(writer)
        os.close(reader)
        await guest.pause()
        assert await program.wait() == 141
        assert guest.tracing.tracer is None


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["hvsock:///no/where:1024"], "/no/where_10240"),
        (["hvsock:///x:1024", "--html=/no/such/page"], "/no/such/page"),
    ],
)
async def test_a_missing_path_is_named(arguments: list[str], name: str) -> None:
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kata_host.ctl", "trace", *arguments),
        stderr=asyncio.subprocess.PIPE,
    )
    _, error = await program.communicate()
    assert program.returncode == 1
    assert name in error.decode()
    assert "Traceback" not in error.decode()


@pytest.mark.parametrize("address", ["tcp://x", "unix:///x"])
async def test_an_address_without_a_trace_port_is_wrong_usage(address: str) -> None:
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kata_host.ctl", "trace", address),
        stderr=asyncio.subprocess.PIPE,
    )
    _, error = await program.communicate()
    assert program.returncode == 2
    assert address in error.decode()
    assert "Traceback" not in error.decode()


def trace(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kata_host.ctl", "trace", *arguments],
        capture_output=True,
        text=True,
    )


def test_a_file_of_spans_is_shown_as_trees_and_as_a_page(tmp_path: Path) -> None:
    spans, page = tmp_path / "spans.jsonl", tmp_path / "page.html"
    spans.write_text(
        '{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"01","spanId":"01",'
        '"name":"some\\u001b.call","startTimeUnixNano":"1000",'
        '"endTimeUnixNano":"5000"}]}]}]}\n'
    )
    shown = trace("--from", spans)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.split() == ["some\\x1b.call", "4", "µs", "━" * 32]
    written = trace("--from", spans, "--html", page)
    assert (written.returncode, written.stdout, written.stderr) == (0, "", "")
    assert "some" in page.read_text()


@pytest.mark.parametrize(
    ("arguments", "status", "error"),
    [
        (["--from", "/no/such"], 1, "/no/such: No such file or directory"),
        (["--from", "/"], 1, "/: Is a directory"),
        (["--from", __file__], 1, f"{__file__}: line 1: no spans of OTLP/JSON: "),
        (["--from", __file__, "one"], 2, "--from: not with a guest, nor with --for"),
        (["--from", __file__, "--for", "1s"], 2, "--from: not with a guest"),
        ([], 2, "trace: name a guest, or a file with --from"),
    ],
)
def test_what_cannot_be_shown_is_told_in_a_line(
    arguments: list[str], status: int, error: str
) -> None:
    done = trace(*arguments)
    assert done.returncode == status
    assert done.stderr.startswith(f"kata-agent-ctl: {error}")
    assert done.stderr.count("\n") == 1
