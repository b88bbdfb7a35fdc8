# SPDX-License-Identifier: Apache-2.0
"""Descriptors of processes (man 2 pidfd_open)."""

from __future__ import annotations

import errno
import os


def open_pidfd(pid: int) -> int:
    """Return a descriptor of `pid`. Raises `ProcessLookupError` when it has ended.

    While a process has it for its session or group, the number of one that was
    waited for lives on, and kernels before 6.15 call it an invalid argument.
    """
    try:
        return os.pidfd_open(pid)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH)) from error
