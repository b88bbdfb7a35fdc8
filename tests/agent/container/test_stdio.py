# SPDX-License-Identifier: Apache-2.0
"""Standard streams of real containers."""

from __future__ import annotations

import asyncio
import hashlib
import os

import pytest

from kata_agent.errors import NotFound
from tests.helpers.domain import (
    container_request,
    exec_request,
    open_sandbox,
    read_all,
    started,
)
from tests.helpers.namespace import World, in_namespaces


@in_namespaces("v1")
async def test_a_grandchild_that_holds_the_pipe_does_not_hold_the_end(
    world: World,
) -> None:
    async with open_sandbox() as sandbox:
        container = await started(sandbox, "c1", "sleep", "1000")
        await sandbox.exec_process(
            exec_request("c1", "e1", "sh", "-c", "sleep 1000 & echo out")
        )
        process = container.processes.find("e1")
        reading = asyncio.create_task(read_all(sandbox, "c1", "e1"))
        assert await process.wait() == 0
        # The grandchild would hold the pipe for far longer.
        async with asyncio.timeout(60):
            assert await reading == b"out\n"
            assert await read_all(sandbox, "c1", "e1", stderr=True) == b""


@in_namespaces("v1")
async def test_bytes_are_exact_both_ways(world: World) -> None:
    async with open_sandbox() as sandbox:
        await sandbox.create_container(container_request("c1", "cat"))
        await sandbox.start_container("c1")
        stdin = sandbox.container("c1").processes.find("c1").stdio.input
        data = os.urandom(8 << 20)

        async def write() -> None:
            view = memoryview(data)
            for start in range(0, len(view), 1 << 20):
                await stdin.write(bytes(view[start : start + (1 << 20)]))
            stdin.end()

        writing = asyncio.create_task(write())
        digest = hashlib.sha256(await read_all(sandbox, "c1")).digest()
        await writing
        assert digest == hashlib.sha256(data).digest()


@in_namespaces("v1")
async def test_output_survives_the_wait(world: World) -> None:
    async with open_sandbox() as sandbox:
        container = await started(
            sandbox, "c1", "sh", "-c", "echo one; echo two >&2; exit 3"
        )
        assert await container.processes.wait("") == 3
        assert await read_all(sandbox, "c1") == b"one\n"
        assert await read_all(sandbox, "c1", stderr=True) == b"two\n"
        with pytest.raises(NotFound):
            await read_all(sandbox, "c1")


@in_namespaces("v1")
async def test_processes_that_no_client_reads_cost_a_bounded_number_of_descriptors(
    world: World,
) -> None:
    async with open_sandbox() as sandbox:
        container = await started(sandbox, "c1", "sleep", "1000")
        before = len(os.listdir("/proc/self/fd"))
        for number in range(40):
            await sandbox.exec_process(exec_request("c1", f"e{number}", "echo", "x"))
            assert await container.processes.wait(f"e{number}") == 0
        assert len(os.listdir("/proc/self/fd")) <= before + 2 * 16
        for number in range(30, 40):
            assert await read_all(sandbox, "c1", f"e{number}") == b"x\n"
