# SPDX-License-Identifier: Apache-2.0
"""The end of the input on terminals of real containers, in all their settings."""

from __future__ import annotations

import asyncio
import contextlib
import os
import termios
import tty
from collections.abc import AsyncIterator, Iterator
from unittest.mock import patch

import pytest

from kata_agent.container import end_of_file_key
from kata_agent.container.end_of_file_key import EDITED_LIMIT, EndOfFileKey
from kata_agent.container.stdio import Input
from kata_agent.container.terminal_peer import TerminalPeer
from kata_agent.sandbox.sandbox import Sandbox
from tests.helpers.domain import container_request, open_sandbox, read_all
from tests.helpers.namespace import World, in_namespaces

QUIET = "stty -echo -onlcr"


async def output_of(script: str, *parts: bytes, settings: str = "true") -> bytes:
    """Run `script` on a terminal with `parts` as its input; return the output.

    The input comes when the command `settings` is done.
    """
    async with on_terminal(f"{QUIET}; {settings}", script) as (sandbox, stdin):
        for part in parts:
            await stdin.write(part)
        stdin.end()
        return await read_all(sandbox, "c1")


@contextlib.asynccontextmanager
async def on_terminal(
    settings: str, script: str
) -> AsyncIterator[tuple[Sandbox, Input]]:
    """Run `script` on a terminal for the block; its input is yielded when it begins.

    The script ends with the block, and succeeds.
    """
    script = f"{settings}; echo ready; {script}"
    async with open_sandbox() as sandbox:
        await sandbox.create_container(
            container_request("c1", "sh", "-c", script, terminal=True)
        )
        await sandbox.start_container("c1")
        processes = sandbox.container("c1").processes
        ready = b""
        while not ready.endswith(b"ready\n"):
            ready += await processes.read("", stderr=False, limit=1)
        yield sandbox, processes.find("").stdio.input
        assert await processes.wait("") == 0


@in_namespaces("v1")
async def test_an_unfinished_line_is_delivered_and_then_ended(world: World) -> None:
    assert await output_of("cat", b"abc") == b"abc"


@in_namespaces("v1")
async def test_lines_and_an_unfinished_one(world: World) -> None:
    assert await output_of("cat", b"a\nb\n", b"c") == b"a\nb\nc"


@in_namespaces("v1")
async def test_a_finished_line_and_no_input_at_all(world: World) -> None:
    assert await output_of("cat", b"abc\n") == b"abc\n"


@in_namespaces("v1")
async def test_no_input_at_all(world: World) -> None:
    assert await output_of("cat; echo done") == b"done\n"


@in_namespaces("v1")
async def test_each_reader_finds_the_end(world: World) -> None:
    output = await output_of("cat; cat; sh -c cat; echo done", b"abc")
    assert output == b"abcdone\n"


@in_namespaces("v1")
async def test_a_shell_ends_after_the_command_that_read_the_end(world: World) -> None:
    assert b"inner" in await output_of("sh; echo done", b"cat; echo inner\n")


@in_namespaces("v1")
async def test_a_line_longer_than_the_terminal_takes(world: World) -> None:
    # The kernel drops the rest (man 3 termios, MAX_CANON).
    assert await output_of("cat", b"x" * 3000, b"x" * 3000) == b"x" * 4095


@in_namespaces("v1")
async def test_a_key_that_the_container_has_chosen(world: World) -> None:
    output = await output_of("cat", b"a\x04b", settings="stty eof ^A")
    assert output == b"a\x04b"


@in_namespaces("v1")
async def test_nothing_is_added_to_the_bytes_of_a_raw_terminal(world: World) -> None:
    script = "head -c 4 >/tmp/x; stty -raw; cat /tmp/x; cat"
    data = b"\x00\x04\xffx"
    assert await output_of(script, data, settings="stty raw") == data


@in_namespaces("v1")
async def test_a_reader_of_a_terminal_that_is_raw_no_more_finds_the_end(
    world: World,
) -> None:
    script = "head -c 3; sleep 0.3; stty -raw; cat; echo done"
    assert await output_of(script, b"abc", settings="stty raw") == b"abcdone\n"


@in_namespaces("v1")
async def test_the_end_comes_after_a_write_that_waits(world: World) -> None:
    script = "read x; head -c 20000 >/tmp/x; stty -raw; cat"
    async with on_terminal("stty raw", script) as (sandbox, stdin):
        writing = asyncio.create_task(stdin.write(b"\n" + bytes(20000)))
        await asyncio.sleep(0)
        stdin.end()
        assert await stdin.write(b"late") == 0
        assert await writing == 20001
        await read_all(sandbox, "c1")


@pytest.fixture
def terminal() -> Iterator[tuple[int, int, TerminalPeer]]:
    """A master, the side of the processes, and the agent's hold."""
    master, slave = os.openpty()
    os.set_blocking(slave, False)
    peer = TerminalPeer(master)
    yield master, slave, peer
    peer.close()
    os.close(master)
    os.close(slave)


async def presses(
    key: EndOfFileKey, slave: int, count: int, *, after: bytes = b""
) -> list[bytes]:
    """Start the key and read `count` times from the terminal, as a process."""
    loop = asyncio.get_running_loop()
    key.start(after=after)
    found = []
    for _ in range(count):
        readable = asyncio.Event()
        loop.add_reader(slave, readable.set)
        await asyncio.wait_for(readable.wait(), 30)
        loop.remove_reader(slave)
        found.append(os.read(slave, 100))
    return found


async def test_a_terminal_that_edits_lines_ends_every_read(
    terminal: tuple[int, int, TerminalPeer],
) -> None:
    master, slave, peer = terminal
    key = EndOfFileKey(master, peer)
    assert await presses(key, slave, 3) == [b"", b"", b""]
    key.stop()


async def test_a_process_that_edits_lines_gets_the_key_a_few_times(
    terminal: tuple[int, int, TerminalPeer],
) -> None:
    master, slave, peer = terminal
    attributes = termios.tcgetattr(slave)
    attributes[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    key = EndOfFileKey(master, peer)
    assert await presses(key, slave, EDITED_LIMIT) == [b"\x04"] * EDITED_LIMIT
    key.stop()


async def test_a_process_that_edits_lines_gets_an_unfinished_one_entered(
    terminal: tuple[int, int, TerminalPeer],
) -> None:
    master, slave, peer = terminal
    attributes = termios.tcgetattr(slave)
    attributes[0] &= ~termios.ICRNL
    attributes[3] &= ~(termios.ICANON | termios.ECHO)
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    key = EndOfFileKey(master, peer)
    assert await presses(key, slave, 3, after=b"x") == [b"\r", b"\x04", b"\x04"]
    key.stop()


async def test_a_raw_terminal_gets_no_key(
    terminal: tuple[int, int, TerminalPeer],
) -> None:
    master, slave, peer = terminal
    tty.setraw(slave)
    key = EndOfFileKey(master, peer)
    with patch.object(end_of_file_key, "SETTLING", 0):
        key.start(after=b"")
        for _ in range(3):
            await asyncio.sleep(0)
    assert not peer.has_input
    key.stop()


async def test_a_terminal_without_the_key_gets_no_byte(
    terminal: tuple[int, int, TerminalPeer],
) -> None:
    master, slave, peer = terminal
    attributes = termios.tcgetattr(slave)
    attributes[6][termios.VEOF] = b"\0"
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    key = EndOfFileKey(master, peer)
    with patch.object(end_of_file_key, "SETTLING", 0):
        key.start(after=b"")
        for _ in range(3):
            await asyncio.sleep(0)
    os.write(master, b"\n")
    assert os.read(slave, 10) == b"\n"
    key.stop()
