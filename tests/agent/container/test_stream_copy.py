# SPDX-License-Identifier: Apache-2.0
"""Output of real containers, on its way to hosts that are slow, stuck or gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
from collections.abc import AsyncIterator
from unittest.mock import patch

from kata_agent.container import stream_copy
from kata_agent.container.stream_dialer import StreamDialer
from kata_agent.options.config import Config
from kata_agent.ports.unix_ports import UnixPorts
from kata_agent.sandbox.sandbox import Sandbox
from tests.helpers.domain import container_request, exec_request, open_sandbox
from tests.helpers.namespace import World, in_namespaces
from tests.helpers.stream_ports import BASE, accept, listen, receive_all

SIZE = 700_000
"""Bytes: more than the sockets between agent and host hold, less than the pipe does."""
CONFIG = Config(container_pipe_size=1 << 20)
WRITE = f"head -c {SIZE} /dev/zero"


@contextlib.asynccontextmanager
async def sandbox_and_host(
    script: str, *, terminal: bool = False
) -> AsyncIterator[tuple[Sandbox, socket.socket]]:
    """Start `script` in container c1; yield the sandbox and the host's connection."""
    async with open_sandbox(CONFIG, streams=StreamDialer(UnixPorts(BASE))) as sandbox:
        listener = listen(2002)
        request = container_request("c1", "sh", "-c", script, terminal=terminal)
        request.stdout_port = 2002
        await sandbox.create_container(request)
        connection = await accept(listener)
        await sandbox.start_container("c1")
        with listener, connection:
            yield sandbox, connection


async def has_exited(sandbox: Sandbox) -> None:
    assert await sandbox.container("c1").processes.find("").wait() == 0


async def wait(sandbox: Sandbox) -> int:
    return await sandbox.container("c1").processes.wait("")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@in_namespaces("v1", "v2")
async def test_a_slow_host_has_all_the_output_when_the_wait_is_answered(
    world: World,
) -> None:
    async with sandbox_and_host(WRITE) as (sandbox, connection):
        await has_exited(sandbox)
        waiting = asyncio.create_task(wait(sandbox))
        received = asyncio.create_task(receive_all(connection, 4096))
        assert await waiting == 0
        await sandbox.remove_container("c1")
        assert len(await received) == SIZE


@in_namespaces("v1")
async def test_the_wait_is_not_answered_before_the_host_has_read(world: World) -> None:
    async with sandbox_and_host(WRITE) as (sandbox, connection):
        await has_exited(sandbox)
        waiting = asyncio.create_task(wait(sandbox))
        for _ in range(100):
            await asyncio.sleep(0)
        assert not waiting.done()
        assert len(await receive_all(connection)) == SIZE
        assert await waiting == 0


@in_namespaces("v1")
async def test_a_removal_cuts_no_output_that_is_on_its_way(world: World) -> None:
    async with sandbox_and_host(WRITE) as (sandbox, connection):
        await has_exited(sandbox)
        waiting = asyncio.create_task(wait(sandbox))
        await asyncio.sleep(0)
        # Neither waits for the host, nor takes anything from it.
        await sandbox.remove_container("c1")
        assert len(await receive_all(connection, 4096)) == SIZE
        assert await waiting == 0


@in_namespaces("v1")
async def test_a_removal_that_kills_the_process_cuts_nothing_it_wrote(
    world: World,
) -> None:
    script = f"{WRITE}; echo done >&2; sleep 1000"
    async with sandbox_and_host(script) as (sandbox, connection):
        processes = sandbox.container("c1").processes
        assert await processes.read("", stderr=True, limit=10) == b"done\n"
        await sandbox.remove_container("c1")
        assert len(await receive_all(connection, 4096)) == SIZE


@in_namespaces("v1")
async def test_a_host_that_never_reads_delays_the_wait_by_a_bounded_time(
    world: World,
) -> None:
    with patch.object(stream_copy, "ANSWER_AFTER", 0.2):
        async with sandbox_and_host(WRITE) as (sandbox, connection):
            assert await wait(sandbox) == 0
            await sandbox.remove_container("c1")
            # The output is still there for a host that was only late.
            assert len(await receive_all(connection)) == SIZE


@in_namespaces("v1")
async def test_a_host_that_never_reads_keeps_no_descriptor_for_ever(
    world: World,
) -> None:
    with patch.multiple(stream_copy, ANSWER_AFTER=0.1, GONE_AFTER=0.2):
        async with sandbox_and_host(WRITE) as (sandbox, connection):
            before = descriptors()
            assert await wait(sandbox) == 0
            await sandbox.remove_container("c1")
            hang_up = select.poll()
            hang_up.register(connection, select.POLLRDHUP)
            await asyncio.to_thread(hang_up.poll)
            assert 0 < len(await receive_all(connection)) < SIZE
            assert descriptors() <= before


@in_namespaces("v1")
async def test_a_host_that_hangs_up_ends_the_wait_and_the_process(world: World) -> None:
    async with sandbox_and_host("yes; exit 3") as (sandbox, connection):
        loop = asyncio.get_running_loop()
        assert await loop.sock_recv(connection, 2) == b"y\n"
        connection.close()
        # The process sees a pipe whose reader has gone.
        assert await wait(sandbox) == 3
        await sandbox.remove_container("c1")


@in_namespaces("v1")
async def test_a_host_that_hangs_up_after_the_exit_ends_the_wait(world: World) -> None:
    async with sandbox_and_host(WRITE) as (sandbox, connection):
        await has_exited(sandbox)
        waiting = asyncio.create_task(wait(sandbox))
        await asyncio.sleep(0)
        connection.close()
        assert await waiting == 0


@in_namespaces("v1")
async def test_a_background_child_that_keeps_the_pipe_delays_no_wait(
    world: World,
) -> None:
    script = f"sleep 1000 & {WRITE}"
    async with sandbox_and_host(script) as (sandbox, connection):
        waiting = asyncio.create_task(wait(sandbox))
        assert len(await receive_all(connection, 4096)) == SIZE
        assert await waiting == 0


@in_namespaces("v1")
async def test_a_background_child_that_writes_on_delays_no_wait(world: World) -> None:
    script = f"yes & {WRITE}"
    async with sandbox_and_host(script) as (sandbox, connection):
        waiting = asyncio.create_task(wait(sandbox))
        assert (await receive_all(connection)).count(0) == SIZE
        assert await waiting == 0
        await sandbox.remove_container("c1")


@in_namespaces("v1")
async def test_a_stuck_host_delays_no_other_process(world: World) -> None:
    async with sandbox_and_host(f"{WRITE}; exec sleep 1000") as (sandbox, _):
        await sandbox.exec_process(exec_request("c1", "e1", "echo", "x"))
        processes = sandbox.container("c1").processes
        assert await processes.wait("e1") == 0
        assert await processes.read("e1", stderr=False, limit=10) == b"x\n"
