# SPDX-License-Identifier: Apache-2.0
"""`python killed_at.py N MODULE|FILE [ARG...]`: run a program, and kill it on the way.

The program is killed by SIGKILL right before its change N of the system, counted from
0; with fewer changes it runs to its end. A change is what another process can see, or
what is left when this one is killed: a file, a directory, a lock, a child, a socket.
One that is tried again and again, as a connection to a VM that boots, counts once. The
interpreter tells of each before it is made (PEP 578, audit hooks), so the moment is the
same on a busy machine. The children have no such hook.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from typing import Any, Final

CHANGES: Final = {
    "ctypes.call_function",
    "fcntl.flock",
    "os.exec",
    "os.fork",
    "os.link",
    "os.mkdir",
    "os.posix_spawn",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.symlink",
    "os.truncate",
    "socket.bind",
    "socket.connect",
    "subprocess.Popen",
}
"""The names of events that announce a change."""
_WRITES: Final = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def _is_change(event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "open":
        return bool(arguments[2] & _WRITES) and arguments[0] != os.devnull
    return event in CHANGES


def main() -> None:
    left = int(sys.argv[1])
    before: tuple[object, ...] = ()

    def kill_in_time(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left, before
        if not _is_change(event, arguments):
            return
        # The socket of each attempt is another.
        change = (event, *arguments[event == "socket.connect" :])
        if change == before:
            return
        before = change
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    program = sys.argv[2]
    sys.argv = sys.argv[2:]
    sys.dont_write_bytecode = True
    sys.addaudithook(kill_in_time)
    if program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
