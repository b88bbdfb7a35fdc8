# SPDX-License-Identifier: Apache-2.0
"""The capacity of the pipes."""

from __future__ import annotations

import fcntl
import os

from kata_agent.container.pipe_size import BUSY_PIPE_SIZE
from kata_agent.container.pipes import open_pipes


async def test_pipe_size() -> None:
    pipes = open_pipes(256 << 10)
    get_size = 1032  # F_GETPIPE_SZ
    assert fcntl.fcntl(pipes.stdout, get_size) == 256 << 10
    assert fcntl.fcntl(pipes.stderr, get_size) == 256 << 10
    pipes.close_process_ends()
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
    pipes.close_process_ends()
    pipes.stdio.close()


async def test_a_size_that_was_asked_for_stays() -> None:
    get_size = 1032  # F_GETPIPE_SZ
    pipes = open_pipes(128 << 10)
    os.write(pipes.stdout, bytes(64 << 10))
    await pipes.stdio.stdout.read(1 << 20)
    assert fcntl.fcntl(pipes.stdout, get_size) == 128 << 10
    pipes.close_process_ends()
    pipes.stdio.close()
