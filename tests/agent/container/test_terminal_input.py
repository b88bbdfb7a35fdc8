# SPDX-License-Identifier: Apache-2.0
"""Processes on real terminals."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kata_agent.errors import Internal
from tests.helpers.domain import (
    container_request,
    exec_request,
    open_sandbox,
    read_all,
    started,
)
from tests.helpers.namespace import World, in_namespaces


@in_namespaces("v1", "v2")
async def test_init_on_a_terminal(world: World) -> None:
    async with open_sandbox() as sandbox:
        request = container_request(
            "c1", "sh", "-c", "tty; stty size; read x; stty size; exit 5", terminal=True
        )
        await sandbox.create_container(request)
        processes = sandbox.container("c1").processes
        stdio = processes.find("").stdio
        assert stdio.resize is not None
        stdio.resize(30, 100)
        await sandbox.start_container("c1")
        output = b""
        while b"30 100" not in output:
            output += await processes.read("", stderr=False, limit=100)
        stdio.resize(40, 120)
        await stdio.input.write(b"\n")
        output += await read_all(sandbox, "c1")
        lines = output.decode().split("\r\n")
        assert lines[0].startswith("/dev/")
        assert "40 120" in lines
        assert await processes.wait("") == 5


@in_namespaces("v1", "v2")
async def test_exec_on_a_terminal_ends_with_its_process(world: World) -> None:
    async with open_sandbox() as sandbox:
        container = await started(sandbox, "c1", "sleep", "1000")
        script = "sleep 1000 & tty; exit 6"
        await sandbox.exec_process(
            exec_request("c1", "e1", "sh", "-c", script, terminal=True)
        )
        # A terminal has one stream for stdout and stderr. A grandchild holds it open.
        output = await asyncio.wait_for(read_all(sandbox, "c1", "e1", stderr=True), 5)
        assert output.startswith(b"/dev/pts/")
        assert await container.processes.wait("e1") == 6


@in_namespaces("v1")
async def test_end_of_input_on_a_terminal(world: World) -> None:
    async with open_sandbox() as sandbox:
        request = container_request("c1", "cat", terminal=True)
        await sandbox.create_container(request)
        await sandbox.start_container("c1")
        processes = sandbox.container("c1").processes
        stdin = processes.find("").stdio.input
        await stdin.write(b"line\n")
        stdin.end()
        assert await stdin.write(b"ignored\n") == 0
        assert await read_all(sandbox, "c1") == b"line\r\nline\r\n"
        assert await processes.wait("") == 0


@in_namespaces("v1")
async def test_a_failed_start_leaves_no_descriptor_and_no_socket(world: World) -> None:
    async with open_sandbox() as sandbox:
        await started(sandbox, "c1", "sleep", "1000")
        before = sorted(Path("/proc/self/fd").iterdir())
        for terminal in (True, False):
            with pytest.raises(Internal, match="was not found"):
                await sandbox.exec_process(
                    exec_request("c1", "e1", "nope", terminal=terminal)
                )
        # The receiver of the terminal ends in the next turns of the loop.
        for _ in range(3):
            await asyncio.sleep(0)
        assert sorted(Path("/proc/self/fd").iterdir()) == before
        assert list(Path("/run/kata-agent/runtime").glob(".*")) == []
