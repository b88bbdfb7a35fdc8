# SPDX-License-Identifier: Apache-2.0
"""The forwarder as a program, with a real collector and with a file."""

import json
import signal
import socket
import stat
import subprocess
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest

from kata_host.forwarder.receiver import Receiver
from kata_tracing.span import span
from kata_tracing.tracing import Tracing
from tests.helpers.collector import (
    FORWARDER,
    PATIENCE,
    eventually,
    free_port,
    program,
    rotel,
    socat,
    tcp_to,
)
from tests.helpers.trace_port import FakeCollector

OK = ("--listen=unix:///no/s", "--file=/dev/null")


async def emit(tracing: Tracing, first: int, count: int) -> None:
    for number in range(first, first + count, 2):
        with span(f"outer.{number}", {"container.id": "c1"}, subsystem="test"):
            with span(f"inner.{number}", {"n": number}, subsystem="test"):
                pass


@pytest.mark.parametrize("way", ["socat", "forwarder"])
async def test_a_real_collector_gets_every_span(tmp_path: Path, way: str) -> None:
    """The collector is late, then away; attributes and parents arrive intact."""
    port, sink_port = free_port(), free_port()
    guest = FakeCollector(tmp_path / "guest.sock_10240")  # only for its connect
    tracing = Tracing(guest.connect, flush_timeout=20)
    if way == "socat":
        relay: AbstractContextManager[object] = socat(tmp_path / "guest.sock", port)
    else:
        relay = program(
            *FORWARDER,
            f"--listen=hvsock://{tmp_path}/guest.sock:10240",
            f"--to=http://127.0.0.1:{port}",
            "--user=root",
        )
    with ExitStack() as stack:
        receiver = Receiver(tmp_path / "sink")
        async with receiver:
            stack.enter_context(tcp_to(tmp_path / "sink", sink_port))
            await tracing.start("collated")
            await emit(tracing, 0, 200)  # No relay is there yet.
            stack.enter_context(relay)
            eventually(guest.path.exists, way)
            with rotel(tmp_path, port, sink_port):
                assert await tracing.flush()
                await receiver.wait_for(200)
            await emit(tracing, 200, 200)  # The collector is away.
            with rotel(tmp_path, port, sink_port):
                assert await tracing.flush()
                await receiver.wait_for(400)
            await tracing.stop()
            spans = {it.name: it for it in receiver.spans()}
            stack.close()
    counters = tracing.counters()
    assert (counters.ended, counters.sent) == (400, 400)
    assert len(spans) == 400
    for number in range(0, 400, 2):
        outer, inner = spans[f"outer.{number}"], spans[f"inner.{number}"]
        assert inner.parent_id == outer.span_id
        assert outer.attributes == {"container.id": "c1", "subsystem": "test"}
        assert inner.attributes == {"n": number, "subsystem": "test"}
        assert outer.service == "kata-agent"


async def test_a_file_gets_lines_of_json(tmp_path: Path) -> None:
    guest = FakeCollector(tmp_path / "guest.sock_10240")
    file = tmp_path / "spans.jsonl"
    tracing = Tracing(guest.connect, flush_timeout=20)
    with program(
        *FORWARDER,
        f"--listen=unix://{guest.path}",
        f"--file={file}",
        "--user=root",
    ):
        await tracing.start("collated")
        await emit(tracing, 0, 2)
        await tracing.stop()
    # Names of containers and errors are in spans.
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    found = [
        it
        for line in lines
        for resource in line["resourceSpans"]
        for scope in resource["scopeSpans"]
        for it in scope["spans"]
    ]
    inner, outer = found
    assert [inner["name"], outer["name"]] == ["inner.0", "outer.0"]
    assert inner["parentSpanId"] == outer["spanId"]
    assert len(outer["traceId"]) == 32
    int(outer["traceId"], 16)
    assert outer["kind"] == 1
    assert not guest.path.exists()


def test_a_hostile_guest_does_not_flood_the_log(tmp_path: Path) -> None:
    path = tmp_path / "guest.sock_10240"
    with program(
        *FORWARDER,
        f"--listen=unix://{path}",
        "--file=/dev/null",
        "--user=root",
        "--guest-connections=1",
    ) as forwarder:
        assert forwarder.stdout is not None
        assert b"listening" in forwarder.stdout.readline()
        with socket.socket(socket.AF_UNIX) as held:
            held.connect(str(path))
            held.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert held.recv(12) == b"HTTP/1.1 404"
            for _ in range(50):
                with socket.socket(socket.AF_UNIX) as refused:
                    refused.connect(str(path))
                    assert refused.recv(12) == b"HTTP/1.1 503"
        statuses = []
        while len(statuses) - statuses.count(b"HTTP/1.1 503") < 50:
            with socket.socket(socket.AF_UNIX) as bad:
                bad.connect(str(path))
                bad.sendall(b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n")
                # 503 while the one before it is not closed yet.
                statuses.append(bad.recv(12))
        forwarder.terminate()
        output, _ = forwarder.communicate(timeout=PATIENCE)
    lines = [line for line in output.decode().splitlines() if "WARNING" in line]
    assert len(lines) == 2, lines


def test_help_and_version_are_printed() -> None:
    for option in ("--help", "--version"):
        done = subprocess.run(
            [*FORWARDER, option], check=True, capture_output=True, text=True
        )
        assert done.stdout.startswith(("usage: kata-trace-", "kata-trace-forwarder "))


def test_help_that_finds_no_room_is_a_failure_of_one_line() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [*FORWARDER, "--help"], stdout=full, stderr=subprocess.PIPE, text=True
        )
    fault = "standard output: No space left on device"
    assert (done.stderr, done.returncode) == (f"kata-trace-forwarder: {fault}\n", 1)


def test_a_hang_up_ends_it_and_its_socket(tmp_path: Path) -> None:
    listen = f"--listen=unix://{tmp_path}/s"
    command = [*FORWARDER, listen, f"--file={tmp_path}/f", "--user=root"]
    # The tests themselves may have been started by nohup.
    forwarder = subprocess.Popen(
        ["env", "--default-signal", *command], stderr=subprocess.PIPE, text=True
    )
    assert forwarder.stderr is not None
    assert "listening" in forwarder.stderr.readline()
    forwarder.send_signal(signal.SIGHUP)
    forwarder.communicate()
    assert forwarder.returncode == 0
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--listen=unix:///x"], "no destination for spans"),
        (["--listen=tcp://x:1", "--file=/dev/null"], "unknown scheme 'tcp'"),
        (["--listen=unix:///x/y/z", "--file=/dev/null"], "No such file"),
        (["--listen=unix:///x", "--to=ftp://x"], "collector 'ftp://x'"),
        (["--listen=unix:///x", "--to=http://a..b"], "collector 'http://a..b'"),
        ([*OK, "--socket-mode=8"], "--socket-mode: invalid mode value: '8'"),
        ([*OK, "--socket-mode=7777777777777777"], "--socket-mode: invalid"),
        ([*OK, "--max-file-size=-1"], "--max-file-size: size '-1'"),
        ([*OK, "--guest-connections=0"], "--guest-connections: number '0'"),
        ([*OK, "--socket-group=no.such"], "group 'no.such': not found"),
        (["--listen=unix:///x", "--file=/"], "forwarder: /: Is a directory"),
    ],
)
def test_bad_arguments_are_named(arguments: list[str], words: str) -> None:
    done = subprocess.run([*FORWARDER, *arguments], capture_output=True, text=True)
    assert done.returncode != 0
    assert words in done.stderr
    assert "Traceback" not in done.stderr
