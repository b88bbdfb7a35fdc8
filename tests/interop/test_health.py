# SPDX-License-Identifier: Apache-2.0
"""`ttrpc.health` with the Go library: its client on our service, ours on its."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.interop import go_server
from ttrpc import Code, StatusError
from ttrpc.aio import Client, Server
from ttrpc.health import (
    CHECK,
    NOT_SERVING,
    SERVICE_UNKNOWN,
    SERVING,
    WATCH,
    Health,
    HealthCheckRequest,
)
from ttrpc.sync import Client as SyncClient

pytestmark = [pytest.mark.interop, pytest.mark.timeout(300)]
PATIENCE = 30.0
WHOLE = HealthCheckRequest()
PART = HealthCheckRequest(service="a.B")


async def test_a_go_client_checks_and_watches_ours(
    go_programs: Path, tmp_path: Path
) -> None:
    address = f"{tmp_path}/ours.sock"

    async def ask(*arguments: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(go_programs / "health", "-addr", address, *arguments),
            stdout=asyncio.subprocess.PIPE,
        )

    async def check(service: str) -> str:
        answer, _ = await (await ask("check", service)).communicate()
        return answer.decode().rstrip("\n")

    async def line(process: Any) -> str:
        line: bytes = await process.stdout.readline()
        return line.decode().rstrip("\n")

    service = Health()
    server = Server([service.bound], stopping=service.shutdown)
    async with server, asyncio.timeout(PATIENCE):
        await server.listen(f"unix://{address}")
        assert await check("") == "SERVING"
        assert await check("a.B") == "NotFound service 'a.B': unknown"
        watch = await ask("watch", "a.B")
        assert await line(watch) == "SERVICE_UNKNOWN"
        service.set_status("a.B", SERVING)
        assert await line(watch) == "SERVING"
        service.set_status("a.B", NOT_SERVING)
        assert await line(watch) == "NOT_SERVING"
        assert await check("a.B") == "NOT_SERVING"
        service.set_status("a.B", SERVING)
        assert await line(watch) == "SERVING"
        # The watch is told of the end, and keeps the server from nothing.
        assert await server.shutdown(PATIENCE)
        assert await line(watch) == "NOT_SERVING"
        assert await line(watch) == "Unavailable server: is shutting down"
        assert await watch.wait() == 0


@pytest.fixture
def go_health(
    go_programs: Path, tmp_path: Path
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    address = f"{tmp_path}/go.sock"
    with go_server([go_programs / "health", "-addr", address, "serve"]) as process:
        yield f"unix://{address}", process


def set_status(process: subprocess.Popen[str], service: str, status: int) -> None:
    """Have the Go server set a status, and wait until it has done so."""
    assert process.stdin is not None
    assert process.stdout is not None
    line = f"{service} {status}\n"
    process.stdin.write(line)
    process.stdin.flush()
    assert process.stdout.readline() == line


async def test_our_client_checks_and_watches_a_go_server(
    go_health: tuple[str, subprocess.Popen[str]],
) -> None:
    address, process = go_health
    async with await Client.connect(address, call_timeout=PATIENCE) as client:
        assert (await client.call(CHECK, WHOLE)).status == SERVING
        with pytest.raises(StatusError) as caught:
            await client.call(CHECK, PART)
        assert caught.value.code is Code.NOT_FOUND
        async with client.open_stream(WATCH, PART) as watch:
            seen = [await anext(watch)]
            for status in (SERVING, NOT_SERVING):
                set_status(process, "a.B", status)
                seen.append(await anext(watch))
                assert (await client.call(CHECK, PART)).status == status
        assert [it.status for it in seen] == [SERVICE_UNKNOWN, SERVING, NOT_SERVING]
        # The watch was left, and the connection goes on.
        assert (await client.call(CHECK, WHOLE)).status == SERVING


def test_our_blocking_client_checks_and_watches_a_go_server(
    go_health: tuple[str, subprocess.Popen[str]],
) -> None:
    address, process = go_health
    with SyncClient.connect(address, call_timeout=PATIENCE) as client:
        assert client.call(CHECK, WHOLE).status == SERVING
        with client.open_stream(WATCH, PART) as watch:
            statuses = iter(watch)
            assert next(statuses).status == SERVICE_UNKNOWN
            set_status(process, "a.B", NOT_SERVING)
            assert next(statuses).status == NOT_SERVING
        assert client.call(CHECK, PART).status == NOT_SERVING
