# SPDX-License-Identifier: Apache-2.0
"""`fs_group` and `fsgid=`: a volume's files given to the group of its pod."""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Iterable

from kata_agent.errors import InvalidArgument
from kata_agent.linux.mount import MS_RDONLY
from kata_agent.linux.mount_options import MountOptions, split_options
from kata_agent.linux.tree import has_group, set_group
from kata_agent.storage.mount_point import MountPoint
from kata_protos.agent_pb2 import FSGroup
from kata_protos.types_pb2 import OnRootMismatch

log = logging.getLogger(__name__)

HIGHEST = (1 << 32) - 2
"""The number above means "no change" (man 2 chown)."""
OPTION = "fsgid="
"""The group as a mount option (`ephemeral`, `local`), which no kernel knows."""


def apply_group(point: MountPoint, group: FSGroup, options: MountOptions) -> None:
    """Change group and mode of all files in `point`. Blocks. Raises `OSError`.

    With the policy `OnRootMismatch`, do nothing if the root has the group already. The
    files of a read-only file system stay as they are, as in Kubernetes.
    """
    if group.group_id > HIGHEST:
        raise InvalidArgument(f"storage {str(point)!r}: no group {group.group_id}")
    read_only = bool(options.flags & MS_RDONLY)
    with point.opened() as root:
        if group.group_change_policy == OnRootMismatch and has_group(
            root, group.group_id, read_only=read_only
        ):
            return
        try:
            set_group(root, group.group_id, read_only=read_only)
        except OSError as error:
            if error.errno != errno.EROFS:
                raise
            log.info("read-only, group not changed", extra={"mount_point": str(point)})


def split_group(options: Iterable[str]) -> tuple[list[str], int | None]:
    """Return the single options without `fsgid=GID`, and that group or None.

    Of several groups the last counts. Raises `InvalidArgument`.
    """
    single = split_options(options)
    rest = [option for option in single if not option.startswith(OPTION)]
    groups = [
        option.removeprefix(OPTION) for option in single if option.startswith(OPTION)
    ]
    if not groups:
        return rest, None
    # More digits than an id has are not even counted.
    if not re.fullmatch("[0-9]{1,10}", groups[-1]) or int(groups[-1]) > HIGHEST:
        raise InvalidArgument(f"option {OPTION + groups[-1]!r}: not a group id")
    return rest, int(groups[-1])


def own_by_group(point: MountPoint, group: int) -> None:
    """Give the directory itself to `group`, and so all files made in it. Blocks."""
    with point.opened(os.O_RDONLY | os.O_DIRECTORY) as directory:
        mode = os.fstat(directory).st_mode
        os.fchown(directory, -1, group)
        # Set-group-ID: new files get the directory's group (man 7 inode).
        os.fchmod(directory, mode & 0o7777 | 0o2000)
