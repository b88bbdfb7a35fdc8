# SPDX-License-Identifier: Apache-2.0
"""The directory in which crun keeps what it knows of a container.

Of the verb `start` and, once all processes of a container have ended, of `delete`, only
the work on this directory is left. The agent does that itself, because a program for
each takes 3 ms of a container's 10. Source: src/libcrun/status.c of crun 1.8 to 1.28.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from kata_agent.linux.beneath import opened

_EXEC_FIFO: Final = "exec.fifo"
"""The init reads one byte of this pipe before it executes its program."""
_FILES: Final = frozenset({"status", "config.json", _EXEC_FIFO})
"""All files that crun keeps there."""


def release_init(directory: Path) -> bool:
    """Let the init of a created container execute its program.

    Returns False, with nothing done, if there is no init that waits.
    """
    fifo = directory / _EXEC_FIFO
    try:
        writer = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno == errno.ENXIO:
            # A pipe without a reader: the init has ended.
            return False
        raise
    with opened(writer):
        # The name tells "created" from "running".
        fifo.unlink()
        os.write(writer, b"\0")
    return True


def remove_state(directory: Path) -> bool:
    """Remove the directory of a container of which nothing else is left.

    Returns False, with nothing removed, if it is not as crun makes it.
    """
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return True
    if not _FILES.issuperset(names):
        return False
    for name in names:
        (directory / name).unlink()
    directory.rmdir()
    return True
