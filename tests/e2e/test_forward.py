# SPDX-License-Identifier: Apache-2.0
"""Programs of containers on ports of this host, by the SDK and the command line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import IO

import pytest

from kata_host import Guest
from kata_host.errors import AgentError
from kata_host.forwarding.published_port import PublishedPort
from kata_host.guest.local_guest import LocalGuest
from kata_host.sync import Guest as SyncGuest
from tests.e2e.conftest import PATIENCE, environment_of_guests, wait_until
from tests.helpers.command_line import CTL, run, running
from tests.helpers.pseudo_terminal import PseudoTerminal

SERVER = """
import socket, sys
where = sys.argv[1]
if where.startswith("/"):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(where)
else:
    listener = socket.socket()
    listener.bind(("127.0.0.1", int(where)))
listener.listen()
print("ready", flush=True)
while True:
    client, _ = listener.accept()
    with client:
        data = bytearray()
        while part := client.recv(65536):
            data += part
        client.sendall(data[::-1])
"""
"""Answers when all has come, which only an exact end tells."""


@pytest.fixture
async def local(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Guest]:
    monkeypatch.setenv("TMPDIR", str(scratch))
    async with Guest.local() as guest:
        yield guest


def exchange(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(65536), b""))


@pytest.mark.parametrize("where", ["8000", "/tmp/a socket"])
async def test_a_program_of_a_box(local: Guest, where: str) -> None:
    data = os.urandom(1 << 20)
    target = where if where.startswith("/") else int(where)
    async with local.container() as box, local.container() as other:
        async with box.start(["python3", "-c", SERVER, where]) as process:
            await process.read_until("ready\n")
            forward = box.forward(target)
            async with forward as url:
                assert url == f"http://127.0.0.1:{forward.port}"
                assert (
                    await asyncio.to_thread(exchange, forward.port, data)
                    == (data[::-1])
                )
            if isinstance(target, str):
                # The file is the box's own.
                missing = other.forward(target)
                async with missing:
                    with pytest.raises(ConnectionResetError):
                        await asyncio.to_thread(exchange, missing.port, b"x")
            with pytest.raises(ConnectionRefusedError):
                exchange(forward.port, b"x")


async def test_a_box_that_ends_ends_its_connections(local: Guest) -> None:
    async with local.container() as box:
        async with box.start(["python3", "-c", SERVER, "8000"]) as process:
            await process.read_until("ready\n")
            forward = box.forward(8000)
            async with forward:
                reader, writer = await asyncio.open_connection(
                    "127.0.0.1", forward.port
                )
                await process.signal(signal.SIGKILL)
                # A reset if the server had not accepted yet.
                with contextlib.suppress(ConnectionResetError):
                    async with asyncio.timeout(PATIENCE):
                        assert await reader.read() == b""
                writer.close()


def test_without_asyncio_and_by_the_guest_itself(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(scratch))
    with SyncGuest.local() as guest, guest.container() as box:
        with box.start(["python3", "-c", SERVER, "8000"]) as process:
            process.read_until("ready\n")
            # The containers of the SDK have the guest's own loopback.
            forward = guest.forward(8000)
            with forward as url, box.forward(8000, host_port=0) as other:
                assert url != other
                assert exchange(forward.port, b"abc") == b"cba"


async def test_an_agent_without_a_forwarder_says_so(scratch: Path) -> None:
    with LocalGuest(scratch / "g") as local:
        async with Guest.connect(local.address) as guest:
            with pytest.raises(AgentError, match=r"agent\.forward_vport=1028"):
                await guest.forward(80).__aenter__()


def first_line(stream: IO[str] | None) -> str:
    assert stream is not None
    return stream.readline()


def page(port: int) -> bytes:
    """Return what a server sends; until it listens, connections are reset."""
    while True:
        with contextlib.suppress(ConnectionError):
            return exchange(port, b"GET / HTTP/1.0\r\n\r\n")


def test_the_command_line(scratch: Path) -> None:
    site = "mkdir /www; echo served > /www/index.html; exec httpd -f -p 80 -h /www"
    with environment_of_guests(scratch) as environment:
        words = ("run", "-d", "--name", "web", "--", "sh", "-c", site)
        assert run(environment, *words).returncode == 0
        with running(environment, "forward", "web", "0:80") as forwarding:
            line = first_line(forwarding.stdout)
            found = re.fullmatch(r"127\.0\.0\.1:([0-9]+) -> web:80\n", line)
            assert found, line
            assert page(int(found[1])).endswith(b"\r\n\r\nserved\n")
            forwarding.send_signal(signal.SIGINT)
            assert forwarding.wait(PATIENCE) == 0


def test_run_publishes_a_port(environment: dict[str, str]) -> None:
    site = "echo one > /index.html; exec httpd -f -p 80 -h /"
    with running(environment, "run", "-p", "80", "--", "sh", "-c", site) as ran:
        line = first_line(ran.stderr)
        found = re.fullmatch(r"127\.0\.0\.1:([0-9]+) -> 80\n", line)
        assert found, line
        assert page(int(found[1])).endswith(b"\r\n\r\none\n")


SITE = "echo $PAGE > /index.html; exec httpd -f -p 80 -h /"


def test_ports_of_a_container_that_stays(scratch: Path) -> None:
    """With `run --detach`, and after Ctrl-P Ctrl-Q."""
    with environment_of_guests(scratch) as environment:
        ctl = partial(run, environment)

        def ports_of(name: str) -> list[str]:
            (known,) = json.loads(ctl("inspect", name).stdout)
            return list(known["ports"])

        options = ("--name", "web", "-e", "PAGE=stays", "-p", "80", "-p", "[::1]:0:80")
        ran = ctl("run", "-d", *options, "--", "sh", "-c", SITE)
        assert (ran.stdout, ran.returncode) == ("web\n", 0)
        words = ports_of("web")
        assert ran.stderr == "".join(
            f"{word.removesuffix(':80')} -> 80\n" for word in words
        )
        assert " ".join(words) in ctl("ps").stdout
        port = PublishedPort.parse(words[0]).port
        for _ in range(2):
            assert page(port).endswith(b"\r\n\r\nstays\n")

        # A port that is taken: docker's status, and no container.
        taken = ctl("run", "-d", "--name", "no", "-p", f"{port}:80", "--", "true")
        assert (taken.stdout, taken.returncode) == ("", 125)
        assert f"port {port} of 127.0.0.1: Address already in use" in taken.stderr
        assert ctl("ps", "-aq").stdout == "web\n"

        terminal = PseudoTerminal()
        fd = terminal.program
        command = ("run", "-it", "--guest", "web", "--name", "two", "-p", "8000")
        ran_two = subprocess.Popen(
            [*CTL, *command, "--", "sh"],
            env=environment,
            stdin=fd,
            stdout=fd,
            stderr=fd,
        )
        terminal.type(b"mkdir /w; echo two > /w/index.html; httpd -p 8000 -h /w\r")
        terminal.type(b"echo lis''tens\r")
        terminal.expect(b"listens")
        (word,) = ports_of("two")
        second = PublishedPort.parse(word).port
        assert page(second).endswith(b"\r\n\r\ntwo\n")
        terminal.type(b"\x10\x11")
        assert ran_two.wait(PATIENCE) == 0
        terminal.close()
        assert page(second).endswith(b"\r\n\r\ntwo\n")

        # The end of a container ends its ports.
        for name, each in (("two", second), ("web", port)):
            assert ctl("rm", "-f", name).returncode == 0
            wait_until(lambda each=each: is_refused(each))


def is_refused(port: int) -> bool:
    """Whether nothing listens. A connection that was taken is reset instead."""
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()
    except ConnectionRefusedError:
        return True
    return False
