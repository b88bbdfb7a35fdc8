# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import subprocess
import sys

from tests.helpers.pseudo_terminal import PseudoTerminal

PROGRAM = """
import sys, threading
from kata_host.ctl import patience
patience.PATIENCE = float(sys.argv[1])
with patience.saying("waiting for it"):
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(0.5 if patience.PATIENCE > 1 else None)
patience.note("done")
"""


def test_a_person_is_told_what_takes_long() -> None:
    terminal = PseudoTerminal()
    command = [sys.executable, "-c", PROGRAM]
    subprocess.run([*command, "0.01"], stderr=terminal.program, check=True)
    assert terminal.expect(b"done\r") == (
        b"kata-agent-ctl: waiting for it\r\r\nkata-agent-ctl: "
    )
    subprocess.run([*command, "60"], stderr=terminal.program, check=True)
    assert b"waiting" not in terminal.expect(b"done\r")
    terminal.close()


def test_a_program_is_told_nothing() -> None:
    command = [sys.executable, "-c", PROGRAM, "0"]
    ran = subprocess.run(command, stderr=subprocess.PIPE, check=True)
    assert ran.stderr == b""
