# SPDX-License-Identifier: Apache-2.0
"""The working directory of a process, which must be inside its container.

The host sends the path, but the image chooses it, and `/proc` has links that lead out
of the container (`/proc/1/cwd`): crun before 1.14 follows them (CVE-2024-21626).
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from kata_agent.errors import InvalidArgument
from kata_agent.linux.mountinfo import read_mounts
from kata_agent.linux.openat2 import open_in_root


def check_before(container_id: str, path: str, root: Path) -> None:
    """Raise `InvalidArgument` if `path` goes through a magic link.

    `root` is the link to the container's root directory in `/proc`. A path that is not
    there is no error here, because the runtime reports it. May block.
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

    `process` is its directory in `/proc`. The list of its mounts has every mount that
    it can reach from its root; its working directory must be on one of them. May block.
    """
    try:
        descriptor = os.open(process / "cwd", os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError):
        # The process has ended.
        return
    try:
        mount_id = _mount_id(descriptor)
    finally:
        os.close(descriptor)
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
        f"container {container_id!r}: working directory {path!r} is outside of its root"
    )
