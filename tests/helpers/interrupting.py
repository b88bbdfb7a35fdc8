# SPDX-License-Identifier: Apache-2.0
"""Programs that get Control-C while they start and when they end."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

_AT_IMPORTS = """
import os, signal, sys
from {module} import main

class Interrupting:
    '''At every tenth import, a copy of the program gets a signal.'''
    imports, statuses = 0, []

    def find_spec(self, *_):
        self.imports += 1
        if self.imports % 10 != 1:
            return
        if (copy := os.fork()) == 0:
            sys.meta_path.remove(self)
            self.statuses.clear()
            os.kill(os.getpid(), signal.SIGINT)
        else:
            status = os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])
            self.statuses.append(status)

sys.meta_path.insert(0, Interrupting())
output = os.dup(1)
os.dup2(os.open(os.devnull, os.O_RDWR), 1)
try:
    status = main()
except SystemExit as ended:
    status = ended.code
os.write(output, " ".join(map(str, Interrupting.statuses)).encode())
sys.exit(status)
"""
_AT_END = """
import atexit, os, signal, sys
from {module} import main

@atexit.register
def interrupt():
    os.kill(os.getpid(), signal.SIGINT)

sys.exit(main())
"""


def check_interrupts(module: str, words: Sequence[str], status: int) -> None:
    """Interrupt the program at its imports: status 130. At its end: its own `status`.

    It never prints a traceback. `main` of `module` is the program.
    """
    starting = _ran(_AT_IMPORTS, module, words)
    assert (starting.returncode, "Traceback" in starting.stderr) == (status, False), (
        starting.stderr
    )
    statuses = starting.stdout.split()
    assert set(statuses) == {"130"}
    assert len(statuses) > 3
    ending = _ran(_AT_END, module, words)
    assert (ending.returncode, "Traceback" in ending.stderr) == (status, False), (
        ending.stderr
    )


def _ran(
    program: str, module: str, words: Sequence[str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program.format(module=module), *words],
        capture_output=True,
        text=True,
    )
