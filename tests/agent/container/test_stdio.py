# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import time

import pytest

from kata_agent.container.stdio import BUSY_PIPE_SIZE, LINGER, Input, Output, open_pipes
from kata_agent.errors import Internal, NotFound
from tests.helpers.domain import (
    container_request,
    exec_request,
    open_sandbox,
    read_all,
    started,
)
from tests.helpers.namespace import World, in_namespaces


async def test_output_ends_when_its_writer_closes() -> None:
    reader, writer = os.pipe()
    output = Output(reader)
    os.write(writer, b"last words")
    os.close(writer)
    assert await output.read(4) == b"last"
    assert await output.read(100) == b" words"
    assert await output.read(100) == b""
    assert output.is_closed


async def test_output_is_cut_after_its_process_though_others_hold_it() -> None:
    reader, writer = os.pipe()
    output = Output(reader)
    os.write(writer, b"before")
    output.end_soon()
    ended = asyncio.get_running_loop().time()
    assert await output.read(100) == b"before"
    assert await output.read(100) == b""
    took = asyncio.get_running_loop().time() - ended
    assert LINGER * 0.9 <= took < LINGER + 0.4
    os.close(writer)


async def test_output_written_until_the_cut_is_delivered_though_it_goes_on() -> None:
    reader, writer = os.pipe()
    output = Output(reader)
    output.end_soon()
    os.write(writer, b"x" * 1000)
    await asyncio.sleep(LINGER * 1.2)
    os.write(writer, b"too late")
    assert await output.read(600) == b"x" * 600
    assert await output.read(600) == b"x" * 400
    assert await output.read(600) == b""
    os.close(writer)


async def test_a_cancelled_reader_takes_nothing() -> None:
    reader, writer = os.pipe()
    output = Output(reader)
    abandoned = asyncio.create_task(output.read(100))
    await asyncio.sleep(0)
    abandoned.cancel()
    with pytest.raises(asyncio.CancelledError):
        await abandoned
    os.write(writer, b"still here")
    assert await output.read(100) == b"still here"
    output.close()
    os.close(writer)


async def test_closing_an_output_ends_its_readers() -> None:
    reader, writer = os.pipe()
    output = Output(reader)
    reading = [asyncio.create_task(output.read(100)) for _ in range(3)]
    await asyncio.sleep(0)
    output.close()
    assert await asyncio.gather(*reading) == [b"", b"", b""]
    os.close(writer)


async def test_input_closes_after_what_was_written() -> None:
    reader, writer = os.pipe()
    stdin = Input(writer)
    data = os.urandom(1 << 20)
    writing = asyncio.create_task(stdin.write(data))
    await asyncio.sleep(0)
    stdin.end()
    stdin.end()
    assert await stdin.write(b"after the end") == 0
    output = Output(reader)
    received = b""
    while chunk := await output.read(1 << 16):
        received += chunk
    assert await writing == len(data)
    assert received == data


async def test_input_that_nobody_reads() -> None:
    reader, writer = os.pipe()
    stdin = Input(writer)
    blocked = asyncio.create_task(stdin.write(bytes(1 << 20)))
    await asyncio.sleep(0)
    os.close(reader)
    with pytest.raises(Internal, match="nobody reads it"):
        await blocked
    stdin.close()


async def test_closing_an_input_fails_a_blocked_writer() -> None:
    reader, writer = os.pipe()
    stdin = Input(writer)
    blocked = asyncio.create_task(stdin.write(bytes(1 << 20)))
    await asyncio.sleep(0)
    stdin.close()
    with pytest.raises(Internal, match="closed before everything was written"):
        await blocked
    os.close(reader)


async def test_pipe_size() -> None:
    pipes = open_pipes(256 << 10)
    get_size = 1032  # F_GETPIPE_SZ
    assert fcntl.fcntl(pipes.stdout, get_size) == 256 << 10
    assert fcntl.fcntl(pipes.stderr, get_size) == 256 << 10
    pipes.close_theirs()
    pipes.stdio.close()


async def test_a_busy_pipe_grows_and_a_quiet_one_does_not() -> None:
    get_size = 1032  # F_GETPIPE_SZ
    pipes = open_pipes()
    before = fcntl.fcntl(pipes.stdout, get_size)
    os.write(pipes.stdout, b"few")
    assert await pipes.stdio.stdout.read(1 << 20) == b"few"
    assert fcntl.fcntl(pipes.stdout, get_size) == before
    os.write(pipes.stdout, bytes(before))
    assert await pipes.stdio.stdout.read(1 << 20) == bytes(before)
    assert fcntl.fcntl(pipes.stdout, get_size) == BUSY_PIPE_SIZE
    assert fcntl.fcntl(pipes.stderr, get_size) == before
    # A write that fits the larger pipe no longer waits for a reader.
    assert await pipes.stdio.input.write(bytes(BUSY_PIPE_SIZE)) == BUSY_PIPE_SIZE
    pipes.close_theirs()
    pipes.stdio.close()


async def test_a_size_that_was_asked_for_stays() -> None:
    get_size = 1032  # F_GETPIPE_SZ
    pipes = open_pipes(128 << 10)
    os.write(pipes.stdout, bytes(64 << 10))
    await pipes.stdio.stdout.read(1 << 20)
    assert fcntl.fcntl(pipes.stdout, get_size) == 128 << 10
    pipes.close_theirs()
    pipes.stdio.close()


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
        exited = time.monotonic()
        assert await reading == b"out\n"
        assert await read_all(sandbox, "c1", "e1", stderr=True) == b""
        assert time.monotonic() - exited < 0.5


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
async def test_processes_that_nobody_reads_cost_a_bounded_number_of_descriptors(
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
