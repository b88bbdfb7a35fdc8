# SPDX-License-Identifier: Apache-2.0
"""The end of a session, with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from kata_agent.console.kill import kill_session


def start(script: str) -> subprocess.Popen[bytes]:
    """Start a shell as the leader of a session; return when it has printed a line."""
    shell = subprocess.Popen(
        ["sh", "-c", script], stdout=subprocess.PIPE, start_new_session=True
    )
    assert shell.stdout is not None
    shell.stdout.readline()
    return shell


def test_every_process_of_the_session_is_killed_and_no_other() -> None:
    # The child ignores a hang-up, and keeps the pipe open while it lives.
    session = start("trap '' HUP; sleep 1000 & echo started; wait")
    other = start("echo started; exec sleep 1000")
    kill_session(session.pid)
    assert session.stdout is not None
    assert session.stdout.read() == b""
    assert session.wait() == -signal.SIGKILL
    assert other.poll() is None
    other.kill()
    other.wait()
    for shell in (session, other):
        assert shell.stdout is not None
        shell.stdout.close()


def test_a_command_may_look_like_fields(tmp_path: Path) -> None:
    """The name of a command is between the last parenthesis and the first."""
    child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    for number, stat in (
        (child.pid, f"{child.pid} (a) 1 2 (b) S 1 {child.pid} {child.pid} 0"),
        # A process that has ended between the listing and the look.
        (os.getpid(), None),
    ):
        directory = tmp_path / str(number)
        directory.mkdir()
        if stat is not None:
            (directory / "stat").write_text(stat)
    (tmp_path / "self").mkdir()
    kill_session(child.pid, tmp_path)
    assert child.wait() == -signal.SIGKILL
