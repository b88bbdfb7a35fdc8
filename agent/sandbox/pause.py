# SPDX-License-Identifier: Apache-2.0
"""The pause process: PID 1 of the pid namespace that containers share.

Containers see it in their `/proc`, so it must lead nowhere and be able to do nothing:
through `/proc/1/root` and `/proc/1/cwd` there is an empty directory, and it is nobody's
without capabilities.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from kata_agent.errors import Internal
from kata_agent.linux.namespace import run_isolated
from kata_agent.linux.spawn import spawn

PROGRAM: Final = (
    # The kernel reaps its orphans when it ignores SIGCHLD (man 2 wait), so it has
    # nothing to do. It is ready when it says so, and needs no file after that.
    "import _signal as s, posix as p\n"
    "s.signal(s.SIGCHLD, s.SIG_IGN)\n"
    "p.setgroups([]); p.setgid(65534); p.setuid(65534)\n"
    "p.write(1, b'.'); p.dup2(0, 1)\n"
    "while True: s.pause()"
)


def start_pause(root: Path, *, pivot_root: bool) -> int:
    """Start it and return its pid. `root` is a directory that it has mounted over.

    Without `pivot_root`, which an initramfs does not allow, the guest's root stays
    its own. Blocks. Raises `Internal` when it does not come up.
    """
    return run_isolated(_start, root, pivot_root=pivot_root)


def _start() -> int:
    # Python is the one program that every guest with this agent has; it imports
    # nothing here (-I -S) and shares its pages with the agent.
    reader, writer = os.pipe()
    try:
        try:
            pid = spawn([sys.executable, "-I", "-S", "-c", PROGRAM], stdout=writer)
        finally:
            os.close(writer)
        if os.read(reader, 1) != b".":
            raise Internal("pause process: it did not come up")
    finally:
        os.close(reader)
    return pid
