# SPDX-License-Identifier: Apache-2.0
"""A process of a container, with a real child and real pipes."""

from __future__ import annotations

import asyncio
import os
import signal
import tty
from collections.abc import Iterator

import pytest

from kata_agent.container.pipes import Pipes, open_pipes
from kata_agent.container.process import Process, ProcessState
from kata_agent.container.stdio import terminal_stdio
from kata_agent.linux.spawn import Command
from kata_agent.reaper import Reaper


@pytest.fixture
async def reaper() -> Iterator[Reaper]:
    with Reaper() as reaper:
        yield reaper


def start(reaper: Reaper, script: str) -> Process:
    pipes: Pipes = open_pipes()
    child = reaper.spawn(
        Command(
            ["sh", "-c", script],
            stdin=pipes.stdin,
            stdout=pipes.stdout,
            stderr=pipes.stderr,
        )
    )
    pipes.close_process_ends()
    return Process("e1", child, pipes.stdio)


async def test_a_process_runs_exits_and_is_waited_for(reaper: Reaper) -> None:
    process = start(reaper, "exec sleep 1000")
    assert process.state is ProcessState.RUNNING
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 128 + signal.SIGTERM
    assert process.state is ProcessState.EXITED
    process.release()
    assert process.state is ProcessState.WAITED_FOR
    process.close()


async def test_a_signal_to_a_process_that_has_ended_is_dropped(reaper: Reaper) -> None:
    process = start(reaper, "exit 3")
    assert await process.wait() == 3
    process.send_signal(signal.SIGKILL)
    process.close()


async def test_the_exit_of_a_process_that_was_handed_out_first_changes_nothing(
    reaper: Reaper,
) -> None:
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 9"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    child = reaper.adopt(pid)
    assert await child.wait() == 9
    pipes = open_pipes()
    pipes.close_process_ends()
    process = Process("e1", child, pipes.stdio)
    # The future is done already: this does not yield to the callback of the exit.
    assert await process.wait() == 9
    process.release()
    assert process.state is ProcessState.WAITED_FOR
    await asyncio.sleep(0)
    assert process.state is ProcessState.WAITED_FOR
    process.close()


async def test_the_end_of_the_input_is_read_by_the_process(reaper: Reaper) -> None:
    process = start(reaper, "cat; exit 4")
    await process.stdio.input.write(b"in")
    process.end_input()
    assert await process.stdio.stdout.read(10) == b"in"
    assert await process.wait() == 4
    process.close()


async def test_output_that_is_not_read_survives_the_release(reaper: Reaper) -> None:
    process = start(reaper, "echo out")
    assert await process.wait() == 0
    process.release()
    assert process.stdio.stderr is not None
    assert process.stdio.stderr.is_closed
    assert await process.stdio.stdout.read(10) == b"out\n"
    process.close()


@pytest.mark.parametrize("waits_first", [False, True])
async def test_output_that_is_written_just_before_the_exit_is_never_lost(
    reaper: Reaper, waits_first: bool
) -> None:
    for number in range(250):
        # An external program, so that its exit follows its write at once.
        process = start(reaper, f"exec echo {number}")
        if waits_first:
            assert await process.wait() == 0
            process.release()
        output = b""
        while chunk := await process.stdio.stdout.read(100):
            output += chunk
        assert output == b"%d\n" % number
        assert await process.wait() == 0
        process.close()


async def test_the_last_output_on_a_terminal_is_never_lost(reaper: Reaper) -> None:
    for number in range(100):
        master, slave = os.openpty()
        tty.setraw(slave)
        stdio = terminal_stdio(master)
        command = ["sh", "-c", f"exec echo {number}"]
        child = reaper.spawn(Command(command, stdin=slave, stdout=slave, stderr=slave))
        os.close(slave)
        process = Process("e1", child, stdio)
        assert await process.wait() == 0
        process.release()
        output = b""
        while chunk := await stdio.stdout.read(100):
            output += chunk
        assert output == b"%d\n" % number
        process.close()
