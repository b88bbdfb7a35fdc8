# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import signal
import subprocess
import sys

PROGRAM = """
import os, signal
from kata_host.early_interrupt import end_when_interrupted
end_when_interrupted()
os.kill(os.getpid(), signal.SIGINT)
print("goes on")
"""


def ran() -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True
    )
    return done.returncode, done.stdout, done.stderr


def test_it_ends_the_program_unless_the_starter_ignores_it() -> None:
    assert ran() == (130, "", "")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert ran() == (0, "goes on\n", "")
    finally:
        signal.signal(signal.SIGINT, before)


def test_nothing_is_loaded_before_it() -> None:
    """Control-C meanwhile would be a traceback."""
    program = (
        "import sys; before = set(sys.modules); import kata_host.early_interrupt; "
        "print(*sorted(set(sys.modules) - before))"
    )
    command = [sys.executable, "-c", program]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True)
    ours = "kata_agent kata_agent.version kata_host kata_host.early_interrupt"
    assert loaded.stdout.split() == ["__future__", *ours.split()]
