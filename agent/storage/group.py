# SPDX-License-Identifier: Apache-2.0
"""`fs_group`: a volume's files given to the group of its pod."""

from __future__ import annotations

import errno
import logging
import os

from kata_agent.errors import InvalidArgument
from kata_agent.linux.mount import MS_RDONLY, MountOptions
from kata_agent.linux.tree import has_group, set_group
from kata_agent.storage.mount_point import Place
from kata_protos.agent_pb2 import FSGroup
from kata_protos.types_pb2 import OnRootMismatch

log = logging.getLogger(__name__)

OPTION = "fsgid="
"""How the group comes as a mount option (`ephemeral`, `local`); no kernel knows it."""


def apply_group(place: Place, wanted: FSGroup, options: MountOptions) -> None:
    """Change owner group and mode of all files in `place`. Blocks.

    Of a file system that is mounted read-only nothing can be changed: its files stay
    as they are, as Kubernetes has it too.
    """
    read_only = bool(options.flags & MS_RDONLY)
    with place.opened() as root:
        if wanted.group_change_policy == OnRootMismatch and has_group(
            root, wanted.group_id, read_only=read_only
        ):
            return
        try:
            set_group(root, wanted.group_id, read_only=read_only)
        except OSError as error:
            if error.errno != errno.EROFS:
                raise
            log.info("read-only, group not changed", extra={"mount_point": str(place)})


def split_group(options: list[str]) -> tuple[list[str], int | None]:
    """Take `fsgid=N` out of mount options. Raises `InvalidArgument`."""
    rest = [option for option in options if not option.startswith(OPTION)]
    groups = [
        option.removeprefix(OPTION) for option in options if option.startswith(OPTION)
    ]
    if not groups:
        return rest, None
    if not groups[-1].isascii() or not groups[-1].isdigit():
        raise InvalidArgument(f"option {OPTION}{groups[-1]}: not a group id")
    return rest, int(groups[-1])


def own_by_group(place: Place, group: int) -> None:
    """Give the directory itself to `group`, new files included. Blocks."""
    with place.opened(os.O_RDONLY | os.O_DIRECTORY) as directory:
        mode = os.fstat(directory).st_mode
        os.fchown(directory, -1, group)
        os.fchmod(directory, mode & 0o7777 | 0o2000)
