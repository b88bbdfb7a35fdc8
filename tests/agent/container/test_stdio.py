# SPDX-License-Identifier: Apache-2.0
"""Standard streams of real containers."""

from __future__ import annotations

import asyncio
import hashlib
import os

import pytest

from kata_agent.container.output import READ_LIMIT
from kata_agent.errors import Internal, NotFound
from kata_agent.rpc.status import to_status
from tests.helpers.domain import (
    container_request,
    exec_request,
    open_sandbox,
    read_all,
    started,
)
from tests.helpers.namespace import World, in_namespaces
from ttrpc.codes import Code


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


@in_namespaces("v1")
async def test_a_read_of_no_bytes_and_one_of_more_than_there_can_be(
    world: World,
) -> None:
    async with open_sandbox() as sandbox:
        await started(sandbox, "c1", "sh", "-c", "head -c 3000000 /dev/zero")
        processes = sandbox.container("c1").processes
        assert await processes.read("", stderr=False, limit=0) == b""
        size = 0
        while data := await processes.read("", stderr=False, limit=(1 << 32) - 1):
            assert len(data) <= READ_LIMIT
            size += len(data)
        assert size == 3_000_000


@in_namespaces("v1")
async def test_input_is_refused_once_the_process_has_closed_it(world: World) -> None:
    async with open_sandbox() as sandbox:
        await started(sandbox, "c1", "sh", "-c", "exec <&-; echo closed; sleep 1000")
        processes = sandbox.container("c1").processes
        assert await processes.read("", stderr=False, limit=100) == b"closed\n"
        stdin = processes.find("").stdio.input
        for _ in range(2):
            with pytest.raises(Internal, match="stdin: no process reads it"):
                await stdin.write(b"x")
        stdin.end()
        assert await stdin.write(b"x") == 0


@pytest.mark.parametrize("terminal", [False, True])
@in_namespaces("v1")
async def test_input_that_waits_is_refused_when_the_process_ends(
    world: World, terminal: bool
) -> None:
    async with open_sandbox() as sandbox:
        container = await started(sandbox, "c1", "sleep", "1000")
        script = "stty raw; echo go; dd bs=1 count=1 of=/dev/null; exit 3"
        await sandbox.exec_process(
            exec_request("c1", "e1", "sh", "-c", script, terminal=terminal)
        )
        processes = container.processes
        await processes.read("e1", stderr=False, limit=1)
        with pytest.raises(Internal, match="stdin: no process reads it") as caught:
            await processes.find("e1").stdio.input.write(bytes(8 << 20))
        assert to_status(caught.value).code is Code.INTERNAL
        assert await processes.wait("e1") == 3


@pytest.mark.parametrize("terminal", [False, True])
@in_namespaces("v1")
async def test_readers_that_wait_get_the_end_when_the_container_is_removed(
    world: World, terminal: bool
) -> None:
    async with open_sandbox() as sandbox:
        request = container_request("c1", "sleep", "1000", terminal=terminal)
        await sandbox.create_container(request)
        await sandbox.start_container("c1")
        processes = sandbox.container("c1").processes
        reading = [
            asyncio.create_task(processes.read("", stderr=stderr, limit=10))
            for stderr in (False, False, True)
        ]
        waiting = asyncio.create_task(processes.wait(""))
        await asyncio.sleep(0)
        await sandbox.remove_container("c1")
        assert await asyncio.gather(*reading) == [b""] * 3
        assert await waiting == 128 + 9


@in_namespaces("v1")
async def test_two_readers_of_a_terminal_share_its_output(world: World) -> None:
    async with open_sandbox() as sandbox:
        script = "stty -onlcr; head -c 200000 /dev/zero"
        request = container_request("c1", "sh", "-c", script, terminal=True)
        await sandbox.create_container(request)
        await sandbox.start_container("c1")
        parts = await asyncio.gather(
            *(read_all(sandbox, "c1", stderr=stderr) for stderr in (False, True))
        )
        assert b"".join(parts) == bytes(200_000)


@in_namespaces("v1")
async def test_a_terminal_is_resized_until_its_process_has_been_waited_for(
    world: World,
) -> None:
    async with open_sandbox() as sandbox:
        container = await started(sandbox, "c1", "sleep", "1000")
        # A container without a terminal may have processes with one.
        await sandbox.exec_process(exec_request("c1", "e1", "true", terminal=True))
        process = container.processes.find("e1")
        assert await process.wait() == 0
        assert process.stdio.resize is not None
        process.stdio.resize(30, 100)
        assert await read_all(sandbox, "c1", "e1") == b""
        process.stdio.resize(30, 100)
        assert await container.processes.wait("e1") == 0
        with pytest.raises(NotFound):
            container.processes.find("e1")
