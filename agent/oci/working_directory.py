# SPDX-License-Identifier: Apache-2.0
"""The working directory of a process, which must be inside its container.

The host says it, but an image chooses it, and `/proc` has links that lead anywhere
(`/proc/1/cwd`): crun before 1.14 follows them (CVE-2024-21626 and its kin).
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from kata_agent.errors import InvalidArgument
from kata_agent.linux.mount import read_mounts
from kata_agent.linux.openat2 import open_in_root


def check_before(container_id: str, path: str, root: Path) -> None:
    """Raise `InvalidArgument` if `path` goes through a magic link.

    `root` is the container's root directory as a link of `/proc`. What is not there is
    the runtime's to complain about. May block.
    """
    try:
        descriptor = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError):
        # The container has ended.
        return
    try:
        os.close(open_in_root(descriptor, path, os.O_PATH | os.O_DIRECTORY))
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _outside(container_id, path) from None
    finally:
        os.close(descriptor)


def check_after(container_id: str, path: str, process: Path) -> None:
    """Raise `InvalidArgument` if a process is not inside its own root.

    `process` is its directory in `/proc`. Every mount that it can reach from its root
    is in its own list; where it is must be one of them. May block.
    """
    try:
        place = os.open(process / "cwd", os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError):
        # It has ended.
        return
    try:
        mount_id = _mount_id(place)
    finally:
        os.close(place)
    if mount_id not in {mount.id for mount in read_mounts(process / "mountinfo")}:
        raise _outside(container_id, path)


def _mount_id(descriptor: int) -> int:
    # man 5 proc, /proc/pid/fdinfo
    for line in Path(f"/proc/self/fdinfo/{descriptor}").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == "mnt_id":
            return int(value)
    raise AssertionError("fdinfo without mnt_id")


def _outside(container_id: str, path: str) -> InvalidArgument:
    return InvalidArgument(
        f"container {container_id!r}: working directory {path!r} is outside of it"
    )
