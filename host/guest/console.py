# SPDX-License-Identifier: Apache-2.0
"""The file that holds everything a guest has written to its console."""

from __future__ import annotations

import os
from typing import Final

TAIL_SIZE: Final = 64 * 1024
"""Bytes at the end of the file that are searched for lines."""


def last_lines(fd: int, count: int) -> list[str]:
    """Return the last `count` lines of the file open as `fd`.

    Bytes that are not UTF-8 are replaced. Raises `OSError`.
    """
    size = os.fstat(fd).st_size
    data = os.pread(fd, TAIL_SIZE, max(0, size - TAIL_SIZE))
    return data.decode(errors="replace").splitlines()[-count:]
