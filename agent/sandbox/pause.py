# SPDX-License-Identifier: Apache-2.0
"""The pause process: PID 1 of the pid namespace that containers share, named `pause`.

Containers see this process in their `/proc`, and must find no way into the guest by it:
`/proc/1/root` and `/proc/1/cwd` are an empty directory, and the process runs as the
user nobody (65534) without capabilities.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from kata_agent.errors import Internal
from kata_agent.linux.namespace import run_isolated
from kata_agent.linux.spawn import Command, spawn

PROGRAM: Final = (
    # The kernel reaps the orphans of a process that ignores SIGCHLD (man 2 wait), so
    # that the pause process has nothing to do. It writes a byte when it is ready, and
    # opens no file after that.
    "import _signal as s, posix as p\n"
    "s.signal(s.SIGCHLD, s.SIG_IGN)\n"
    "f = p.open('/proc/self/comm', p.O_WRONLY); p.write(f, b'pause'); p.close(f)\n"
    # The arguments are in the memory between these two addresses (man 5 proc_pid_stat).
    # If their last byte is not zero, the kernel shows them up to the first that is
    # (fs/proc/base.c, get_mm_cmdline).
    "f = p.open('/proc/self/stat', p.O_RDONLY); stat = p.read(f, 4096); p.close(f)\n"
    "begin, end = map(int, stat.rpartition(b')')[2].split()[45:47])\n"
    "title = b'pause'.ljust(end - begin - 1, b'\\0') + b'.'\n"
    "f = p.open('/proc/self/mem', p.O_WRONLY); p.pwrite(f, title, begin); p.close(f)\n"
    "p.setgroups([]); p.setgid(65534); p.setuid(65534)\n"
    "p.write(1, b'.'); p.dup2(0, 1)\n"
    "while True: s.pause()"
)


def start_pause(root: Path, *, pivot_root: bool) -> int:
    """Start the pause process and return its pid.

    An empty tmpfs is mounted on the directory `root` and becomes the root directory of
    the process. Without `pivot_root`, which an initramfs does not allow, the process
    keeps the guest's root. Blocks. Raises `Internal` when the process does not start.
    """
    return run_isolated(_start, root, pivot_root=pivot_root)


def _start() -> int:
    # Python, because every guest with this agent has it. With -I and -S the process
    # imports nothing, and it shares its pages with the agent.
    reader, writer = os.pipe()
    try:
        try:
            pid = spawn(
                Command([sys.executable, "-I", "-S", "-c", PROGRAM], stdout=writer)
            )
        finally:
            os.close(writer)
        if os.read(reader, 1) != b".":
            raise Internal("pause process: not started")
    finally:
        os.close(reader)
    return pid
