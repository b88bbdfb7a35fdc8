# SPDX-License-Identifier: Apache-2.0
"""The capacity of a pipe (man 2 fcntl, F_SETPIPE_SZ)."""

from __future__ import annotations

import contextlib
import fcntl
from typing import Final

BUSY_CHUNK: Final = 32 << 10
"""Bytes moved by one call, from which on a stream is worth a larger pipe. Kata's
runtimes read as much at once."""
BUSY_PIPE_SIZE: Final = 1 << 20
"""The default of /proc/sys/fs/pipe-max-size."""
F_SETPIPE_SZ: Final = 1031
"""linux/fcntl.h"""


def set_pipe_size(fd: int, size: int) -> None:
    """Set the capacity to `size` bytes, if the agent may.

    More than /proc/sys/fs/pipe-max-size takes CAP_SYS_RESOURCE. Without it the pipe
    stays smaller, which is slower but not wrong.
    """
    with contextlib.suppress(PermissionError):
        fcntl.fcntl(fd, F_SETPIPE_SZ, size)


def enlarge_busy_pipe(fd: int) -> None:
    """Set the capacity to `BUSY_PIPE_SIZE`. A failure is fine: the pipe works as is."""
    with contextlib.suppress(OSError):
        set_pipe_size(fd, BUSY_PIPE_SIZE)
