# SPDX-License-Identifier: Apache-2.0
"""What is between the event loop and a thread that works on an archive."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, Final, TypeVar

PIPE_SIZE: Final = 1 << 20
"""Bytes; what an unprivileged user may set (man 7 pipe)."""

T = TypeVar("T")


def in_own_thread(work: Callable[[BinaryIO], T], end: BinaryIO) -> asyncio.Future[T]:
    """Work on one end of a pipe in a new thread.

    In threads that all share, many archives would wait for each other.
    """
    thread = ThreadPoolExecutor(1, thread_name_prefix="kata-tar")
    working = asyncio.get_running_loop().run_in_executor(thread, work, end)
    thread.shutdown(wait=False)
    return working


@contextlib.contextmanager
def opened_pipe() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Provide a reader and a writer, without buffers."""
    ends = os.pipe2(os.O_CLOEXEC)
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    with open(ends[0], "rb", buffering=0) as reader:
        with open(ends[1], "wb", buffering=0) as writer:
            yield reader, writer
