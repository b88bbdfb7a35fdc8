# SPDX-License-Identifier: Apache-2.0
"""The capacity of real pipes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator

import pytest

from kata_agent.container.pipe_size import (
    BUSY_PIPE_SIZE,
    enlarge_busy_pipe,
    set_pipe_size,
)

F_GETPIPE_SZ = 1032


@pytest.fixture
def pipe() -> Iterator[int]:
    reader, writer = os.pipe()
    yield writer
    os.close(reader)
    os.close(writer)


def test_a_pipe_gets_the_size(pipe: int) -> None:
    set_pipe_size(pipe, 256 << 10)
    assert fcntl.fcntl(pipe, F_GETPIPE_SZ) == 256 << 10


def test_a_busy_pipe_gets_the_size_of_busy_pipes(pipe: int) -> None:
    enlarge_busy_pipe(pipe)
    assert fcntl.fcntl(pipe, F_GETPIPE_SZ) == BUSY_PIPE_SIZE


def test_a_descriptor_that_is_no_pipe_is_left_alone() -> None:
    master, slave = os.openpty()
    enlarge_busy_pipe(master)
    with pytest.raises(OSError, match="Bad file descriptor"):
        set_pipe_size(master, 4096)
    os.close(master)
    os.close(slave)


def test_a_size_that_is_refused_leaves_the_pipe(
    pipe: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(fd: int, command: int, size: int) -> int:
        raise PermissionError

    before = fcntl.fcntl(pipe, F_GETPIPE_SZ)
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "fcntl", refuse)
        set_pipe_size(pipe, 1 << 30)
    assert fcntl.fcntl(pipe, F_GETPIPE_SZ) == before
