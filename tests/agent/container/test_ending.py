# SPDX-License-Identifier: Apache-2.0
"""Processes at their end."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from kata_agent.container.ending import is_ending

PROC = Path("/proc")


def test_a_process_that_runs_is_not_ending() -> None:
    assert not is_ending(PROC, os.getpid())


def test_a_zombie_and_no_process_are_ending() -> None:
    child = subprocess.Popen(["true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_ending(PROC, child.pid)
    child.wait()
    assert is_ending(PROC, child.pid)


def _process(proc: Path, flags: int, pending: int) -> None:
    (proc / "7").mkdir(exist_ok=True)
    (proc / "7/stat").write_text(f"7 (a) Z b) S 1 7 7 0 -1 {flags} 0 0\n")
    (proc / "7/status").write_text(
        f"Name:\ta\nSigPnd:\t{0:016x}\nShdPnd:\t{pending:016x}\n"
    )


def test_an_exit_and_a_pending_kill_count(tmp_path: Path) -> None:
    _process(tmp_path, 0x400100, 1 << (signal.SIGTERM - 1))
    assert not is_ending(tmp_path, 7)
    _process(tmp_path, 0x400104, 0)
    assert is_ending(tmp_path, 7)
    _process(tmp_path, 0x400100, 1 << (signal.SIGKILL - 1))
    assert is_ending(tmp_path, 7)
