# SPDX-License-Identifier: Apache-2.0
"""How glibc's allocator treats large blocks (man 3 mallopt)."""

from __future__ import annotations

import contextlib
from typing import Final

from kata_agent.linux import libc

M_TRIM_THRESHOLD: Final = -1
M_MMAP_THRESHOLD: Final = -3


def keep_large_blocks(mmap_threshold: int, trim_threshold: int) -> None:
    """Take blocks of up to `mmap_threshold` bytes from the heap, and let the heap keep
    up to `trim_threshold` free bytes at its end.

    Otherwise each block of 128 KiB or more is new pages from the kernel, or a freed
    one gives them back. Another libc than glibc decides by itself.
    """
    with contextlib.suppress(AttributeError):
        libc.call("mallopt", M_MMAP_THRESHOLD, mmap_threshold)
        libc.call("mallopt", M_TRIM_THRESHOLD, trim_threshold)
