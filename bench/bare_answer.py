# SPDX-License-Identifier: Apache-2.0
"""A server that answers each byte, and does nothing for the processes around it.

It stands in the agent's place in a local guest: PID 1 with the agent's priority, and
the parent of all orphans. The kernel reaps them by itself, because SIGCHLD is ignored
(man 2 waitpid, "Notes"). `bare_command(SCRIPT)` is its command, and the shell's script
runs in the guest beside it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kata_agent.thread_priority import prefer_session, prefer_thread

_ROOT: Final = Path(__file__).parent.parent


def bare_command(script: str) -> Sequence[str]:
    """Return the command of the server; a local guest gives it the address."""
    program = (
        f"import sys; sys.path.append({str(_ROOT)!r}); "
        "from bench.bare_answer import main; main(sys.argv[1])"
    )
    return [sys.executable, "-P", "-c", program, script]


def main(script: str) -> None:
    """Run the script, and answer one client until it leaves."""
    prefer_thread()
    prefer_session()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    address = os.environ["KATA_AGENT_SERVER_ADDR"].removeprefix("unix://")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        shell = subprocess.Popen(["sh", "-c", script], start_new_session=True)
        connection, _ = listener.accept()
        with connection:
            while data := connection.recv(1):
                connection.sendall(data)
        shell.wait()
