# SPDX-License-Identifier: Apache-2.0
"""Kill processes by pid, for hierarchies without `cgroup.kill`."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable

from kata_agent.linux.pidfd import open_pidfd


def send_kill(pids: Iterable[int]) -> None:
    """Send SIGKILL to every pid; those that have ended meanwhile are fine."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            pidfd = open_pidfd(pid)
            try:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            finally:
                os.close(pidfd)
