# SPDX-License-Identifier: Apache-2.0
"""How glibc's allocator treats threads and large blocks (man 3 mallopt)."""

from __future__ import annotations

import contextlib
from typing import Final

from kata_agent.linux import libc

M_TRIM_THRESHOLD: Final = -1
M_MMAP_THRESHOLD: Final = -3
M_ARENA_MAX: Final = -8


def keep_large_blocks(mmap_threshold: int, trim_threshold: int) -> None:
    """Make the heap serve large blocks, and keep their memory when they are freed.

    Blocks of up to `mmap_threshold` bytes come from the heap, which keeps up to
    `trim_threshold` free bytes at its end. By default glibc takes each block of
    128 KiB or more as new pages from the kernel and gives them back. A libc without
    mallopt is left as it is.
    """
    with contextlib.suppress(AttributeError):
        libc.call("mallopt", M_MMAP_THRESHOLD, mmap_threshold)
        libc.call("mallopt", M_TRIM_THRESHOLD, trim_threshold)


def share_one_heap() -> None:
    """Let all threads that start from now on use the heap of the first one.

    By default glibc makes up to eight heaps for each CPU, of which each keeps its free
    memory for itself. A libc without mallopt is left as it is.
    """
    with contextlib.suppress(AttributeError):
        libc.call("mallopt", M_ARENA_MAX, 1)


def trim_heap() -> None:
    """Give the kernel back what is free in the heap (man 3 malloc_trim)."""
    with contextlib.suppress(AttributeError):
        libc.call("malloc_trim", 0)
