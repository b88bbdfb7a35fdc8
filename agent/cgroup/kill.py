# SPDX-License-Identifier: Apache-2.0
"""SIGKILL by pid, for hierarchies without `cgroup.kill`."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable

from kata_agent.linux.pidfd import open_pidfd


def send_kill(pids: Iterable[int]) -> None:
    """Send SIGKILL to every pid, except those that have ended meanwhile.

    Raises `PermissionError` for a process that we may not signal.
    """
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            pidfd = open_pidfd(pid)
            try:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            finally:
                os.close(pidfd)
