# SPDX-License-Identifier: Apache-2.0
"""`local`: a directory on the guest's own disk, for an emptyDir of Kubernetes."""

from __future__ import annotations

import os
import re

from kata_agent.errors import InvalidArgument
from kata_agent.linux.beneath import opened, proc_path
from kata_agent.linux.mount_options import MountOptions
from kata_agent.storage.driver_context import DriverContext
from kata_agent.storage.group import own_by_group, split_group
from kata_agent.storage.mount_point import MountPoint, make_mount_point, remove_tree
from kata_agent.storage.mounts import bind
from kata_agent.undo import Undo
from kata_protos.agent_pb2 import Storage

DEFAULT_MODE = 0o777


async def add(storage: Storage, context: DriverContext) -> None:
    """Make the directory; it is removed with all its files.

    Options: `mode=OCTAL`, without it 0777; `fsgid=GID` gives the directory to that
    group; others are ignored.
    """
    options, group = split_group(storage.options)
    mode = DEFAULT_MODE
    for option in options:
        key, _, value = option.partition("=")
        if key == "mode":
            if not re.fullmatch(r"[0-7]{1,5}", value):
                raise InvalidArgument(f"option {option!r}: not an octal mode")
            mode = int(value, 8) & 0o7777
    point = context.mount_point_of(storage)
    await context.keep(make_directory, point, mode, group)
    # A mount of its own, because only mounts have a propagation.
    await context.keep(bind, context.paths, point, str(point), MountOptions())


def make_directory(undo: Undo, point: MountPoint, mode: int, group: int | None) -> None:
    """Make the directory with exactly `mode`. Blocks."""
    with opened(make_mount_point(point, undo)) as directory:
        undo.callback(remove_tree, point)
        # The umask has cut the mode that mkdir was given.
        os.chmod(proc_path(directory), mode)
    if group is not None:
        own_by_group(point, group)
