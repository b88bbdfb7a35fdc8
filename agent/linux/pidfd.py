# SPDX-License-Identifier: Apache-2.0
"""Descriptors of processes (man 2 pidfd_open)."""

from __future__ import annotations

import errno
import os


def open_pidfd(pid: int) -> int:
    """Return a descriptor of `pid`. Raises `ProcessLookupError` when it has ended.

    The pid of a reaped process stays in use while it names a session or a process
    group; kernels before 6.15 answer EINVAL for such a pid.
    """
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH)) from error
