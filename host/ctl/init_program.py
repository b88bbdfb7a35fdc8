# SPDX-License-Identifier: Apache-2.0
"""The first process of a container with `--init`: tini, in front of the command.

PID 1 has duties that few programs know: the processes that others leave behind become
its children, and it ignores each signal that it has no handler for. tini reaps and
passes signals on, returns the command's status, and is what docker has for this.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kata_host.ctl.errors import CommandError
from kata_host.needed_programs import missing

PROGRAM: Final = "tini-static"
"""Of Debian's package tini; needs no file of the container."""
INIT: Final = "/dev/init"
"""Its path in a container, in a file system in memory that each container has."""


def find_init() -> Path:
    """Return the program on this host. Raises `CommandError`."""
    found = shutil.which(PROGRAM)
    if found is None:
        raise CommandError(f"--init: {missing(PROGRAM)}")
    return Path(os.path.realpath(found))


def behind_init(command: Sequence[str]) -> list[str]:
    """Return the command with the init before it.

    -s: the init also reaps where it is not PID 1, in a pid namespace of others.
    """
    return [INIT, "-s", "--", *command]
