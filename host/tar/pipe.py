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

READ_SIZE: Final = 256 << 10
"""Bytes of one read. Larger ones would be fewer, but their memory is the kernel's anew
each time (man 3 mallopt, M_MMAP_THRESHOLD)."""

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
    """Provide a reader and a writer, without buffers.

    The loop's end is made nonblocking by `read` or `write`.
    """
    ends = os.pipe2(os.O_CLOEXEC)
    fcntl.fcntl(ends[1], fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    with open(ends[0], "rb", buffering=0) as reader:
        with open(ends[1], "wb", buffering=0) as writer:
            yield reader, writer


async def read(reader: BinaryIO, size: int) -> bytes:
    """Return up to `size` bytes once there are some, and none at the end."""
    fd = reader.fileno()
    os.set_blocking(fd, False)
    while True:
        with contextlib.suppress(BlockingIOError):
            return os.read(fd, size)
        loop = asyncio.get_running_loop()
        await _ready(fd, loop.add_reader, loop.remove_reader)


async def write(writer: BinaryIO, data: bytes) -> None:
    """Write all of `data`. Raises `BrokenPipeError` once nobody reads it."""
    fd = writer.fileno()
    os.set_blocking(fd, False)
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            loop = asyncio.get_running_loop()
            await _ready(fd, loop.add_writer, loop.remove_writer)


async def _ready(
    fd: int,
    add: Callable[[int, Callable[[], None]], None],
    remove: Callable[[int], bool],
) -> None:
    event = asyncio.Event()
    add(fd, event.set)
    try:
        await event.wait()
    finally:
        remove(fd)
