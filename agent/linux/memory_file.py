# SPDX-License-Identifier: Apache-2.0
"""Anonymous files in memory (man 2 memfd_create)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator


@contextlib.contextmanager
def memory_file(name: str, content: bytes = b"") -> Iterator[int]:
    """Make a file that holds `content`, close it at the end of the block.

    Yields a close-on-exec descriptor whose offset is 0. `name` only appears in /proc.
    """
    fd = os.memfd_create(name, os.MFD_CLOEXEC)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)
