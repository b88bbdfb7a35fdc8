# SPDX-License-Identifier: Apache-2.0
"""Processes that close their terminal and open it again, and what readers get."""

from __future__ import annotations

import asyncio
import logging
import os
import tty

import pytest

from kata_agent.container.terminal_peer import TerminalPeer
from kata_agent.sandbox.sandbox import Sandbox
from tests.helpers.domain import (
    container_request,
    exec_request,
    open_sandbox,
    read_all,
    started,
)
from tests.helpers.namespace import World, in_namespaces

LEAVE = "exec <&- >&- 2>&-"
"""Closes a shell's terminal."""


async def start(sandbox: Sandbox, script: str) -> None:
    await sandbox.create_container(
        container_request("c1", "sh", "-c", script, terminal=True)
    )
    await sandbox.start_container("c1")


@in_namespaces("v1", "v2")
async def test_output_of_a_terminal_that_is_opened_again_arrives(world: World) -> None:
    async with open_sandbox() as sandbox:
        await start(
            sandbox,
            f"echo first; {LEAVE}; sleep 0.2; exec >/dev/console; echo second; exit 5",
        )
        assert await read_all(sandbox, "c1") == b"first\r\nsecond\r\n"
        assert await sandbox.container("c1").processes.wait("") == 5


@in_namespaces("v1")
async def test_much_output_of_a_terminal_that_is_opened_again_blocks_no_process(
    world: World,
) -> None:
    async with open_sandbox() as sandbox:
        write = "head -c 300000 /dev/zero >/dev/console"
        await start(sandbox, f"{LEAVE}; {write}; {write}; exit 5")
        assert (await read_all(sandbox, "c1")) == bytes(600_000)
        assert await sandbox.container("c1").processes.wait("") == 5


@in_namespaces("v1")
async def test_input_of_a_terminal_that_no_process_holds_waits_for_one(
    world: World,
) -> None:
    async with open_sandbox() as sandbox:
        script = (
            f"echo ready; {LEAVE}; while ! [ -e /tmp/go ]; do sleep 0.05; done; "
            'exec <>/dev/console >&0; read x; echo "<$x>"; exit 5'
        )
        await start(sandbox, script)
        processes = sandbox.container("c1").processes
        await processes.read("", stderr=False, limit=100)
        # Once this has ended, the init has surely closed its terminal.
        await sandbox.exec_process(
            exec_request(
                "c1", "e1", "sh", "-c", "while [ -e /proc/1/fd/1 ]; do :; done"
            )
        )
        assert await processes.wait("e1") == 0
        await processes.find("").stdio.input.write(b"word\n")
        await sandbox.exec_process(exec_request("c1", "e1", "dd", "of=/tmp/go"))
        processes.find("e1").end_input()
        assert (await read_all(sandbox, "c1")).endswith(b"<word>\r\n")
        assert await processes.wait("") == 5


@in_namespaces("v1")
async def test_output_of_a_terminal_is_there_after_the_wait(world: World) -> None:
    async with open_sandbox() as sandbox:
        container = await started(sandbox, "c1", "sleep", "1000")
        for size in (1, 3000, 10_000, 60_000):
            for number in range(5):
                script = f"stty -onlcr; head -c {size} /dev/zero"
                await sandbox.exec_process(
                    exec_request("c1", f"e{number}", "sh", "-c", script, terminal=True)
                )
                waiting = asyncio.create_task(container.processes.wait(f"e{number}"))
                if size > 10_000:
                    # More than a terminal holds, so its process needs a reader.
                    head = await container.processes.read(
                        f"e{number}", stderr=False, limit=size // 2
                    )
                else:
                    head = b""
                    assert await waiting == 0
                output = head + await read_all(sandbox, "c1", f"e{number}")
                assert len(output) == size
                await waiting


@in_namespaces("v1")
async def test_output_of_a_terminal_is_read_long_after_the_exit(world: World) -> None:
    async with open_sandbox() as sandbox:
        container = await started(sandbox, "c1", "sleep", "1000")
        # The background process holds the terminal.
        script = "stty -onlcr; sleep 1000 & head -c 10000 /dev/zero"
        await sandbox.exec_process(
            exec_request("c1", "e1", "sh", "-c", script, terminal=True)
        )
        output = container.processes.find("e1").stdio.stdout
        assert await container.processes.wait("e1") == 0
        await asyncio.sleep(1)
        assert not output.is_closed
        assert await read_all(sandbox, "c1", "e1") == bytes(10_000)


@in_namespaces("v1")
async def test_a_process_on_a_terminal_leaves_no_descriptor(world: World) -> None:
    async with open_sandbox() as sandbox:
        container = await started(sandbox, "c1", "sleep", "1000")
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            await sandbox.exec_process(
                exec_request("c1", "e1", "echo", "x", terminal=True)
            )
            assert await read_all(sandbox, "c1", "e1") == b"x\r\n"
            assert await container.processes.wait("e1") == 0
        assert len(os.listdir("/proc/self/fd")) == before


def test_input_is_seen_until_it_is_read() -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    peer = TerminalPeer(master)
    assert not peer.has_input
    os.write(master, b"x")
    assert peer.has_input
    os.read(slave, 1)
    assert not peer.has_input
    for fd in (master, slave):
        os.close(fd)
    peer.close()


def test_a_terminal_that_cannot_be_held_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reader, writer = os.pipe()
    with caplog.at_level(logging.WARNING):
        peer = TerminalPeer(reader)
    assert "terminal not held" in caplog.text
    assert not peer.has_input
    peer.close()
    for fd in (reader, writer):
        os.close(fd)
