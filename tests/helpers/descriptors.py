# SPDX-License-Identifier: Apache-2.0
"""A process that has no descriptor left."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
from collections.abc import Iterator


@contextlib.contextmanager
def used_up(*, left: int = 0) -> Iterator[None]:
    """Leave this process `left` free descriptors, none by default, during the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(map(int, os.listdir("/proc/self/fd")))
    held: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1 + left, hard))
    try:
        try:
            while True:
                held.append(os.dup(0))
        except OSError as error:
            if error.errno != errno.EMFILE:
                raise
        for _ in range(left):
            os.close(held.pop())
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in held:
            os.close(fd)
