# SPDX-License-Identifier: Apache-2.0
"""The capacity of the pipes."""

from __future__ import annotations

import errno
import fcntl
import os

import pytest

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


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("made", range(3))
async def test_a_pipe_that_cannot_be_made_leaves_none_of_the_others(
    monkeypatch: pytest.MonkeyPatch, made: int
) -> None:
    pipes = iter([os.pipe2] * made)

    def pipe2(flags: int) -> tuple[int, int]:
        make = next(pipes, None)
        if make is None:
            raise OSError(errno.EMFILE, "full")
        return make(flags)

    monkeypatch.setattr(os, "pipe2", pipe2)
    before = descriptors()
    with pytest.raises(OSError, match="full"):
        open_pipes()
    assert descriptors() == before


async def test_a_size_that_cannot_be_set_leaves_no_pipe(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def set_pipe_size(fd: int, size: int) -> None:
        raise OSError(errno.ENOMEM, "no memory")

    monkeypatch.setattr("kata_agent.container.pipes.set_pipe_size", set_pipe_size)
    before = descriptors()
    with pytest.raises(OSError, match="no memory"):
        open_pipes(1)
    assert descriptors() == before
