# SPDX-License-Identifier: Apache-2.0
"""The end of all processes of a session (man 2 setsid)."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path


def kill_session(session: int, proc: Path = Path("/proc")) -> None:
    """Kill every process of `session`, which is its leader's pid."""
    for directory in proc.iterdir():
        if directory.name.isdecimal() and _session_of(directory) == session:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(directory.name), signal.SIGKILL)


def _session_of(process: Path) -> int:
    try:
        stat = (process / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return -1
    # pid (command) state ppid pgrp session ...; the command may hold anything.
    return int(stat.rpartition(")")[2].split()[3])
