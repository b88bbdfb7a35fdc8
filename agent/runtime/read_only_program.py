# SPDX-License-Identifier: Apache-2.0
"""A program through a mount of its own, by which nobody can change the program.

A container can open the program that its init executes before the container's own. crun
protects itself: unless it finds its program on a read-only mount, it makes a copy and
executes that. This takes half of the 2.8 ms of a call that does nothing.
"""

from __future__ import annotations

import functools
import logging
import os
from typing import Final

from kata_agent.linux.beneath import open_directory, opened
from kata_agent.linux.mount import MS_RDONLY
from kata_agent.linux.mount_at import clone_tree, set_attributes
from kata_agent.linux.mount_options import MountOptions

log = logging.getLogger(__name__)

_ELF: Final = b"\x7fELF"


@functools.cache
def read_only_program(name: str) -> str:
    """Return a path that executes the program `name`, a path or a name in PATH.

    The mount is detached and read-only, for this process and its children, and stays
    until this process ends (man 2 open_tree, Linux 5.12). The name itself is returned
    for a script, whose interpreter could not open the path, for a program that is not
    found, and where the kernel makes no such mount.
    """
    program = os.path.realpath(_find(name))
    try:
        with open(program, "rb") as file:
            if file.read(len(_ELF)) != _ELF:
                return name
        # Of its directory, so that the process is named after the program.
        with opened(open_directory(os.path.dirname(program))) as directory:
            mounted = clone_tree(directory, recursive=False)
    except FileNotFoundError:
        return name
    except OSError as error:
        log.info(
            "runtime runs from a copy of itself",
            extra={"program": name, "error": str(error)},
        )
        return name
    set_attributes(mounted, MountOptions(flags=MS_RDONLY))
    return f"/proc/self/fd/{mounted}/{os.path.basename(program)}"


def _find(name: str) -> str:
    if "/" in name:
        return name
    places = (os.path.join(directory, name) for directory in os.get_exec_path())
    return next((each for each in places if os.access(each, os.X_OK)), name)
