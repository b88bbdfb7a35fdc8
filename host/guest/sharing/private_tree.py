# SPDX-License-Identifier: Apache-2.0
"""What a virtiofsd sees of the host: one volume, read-only where that is asked for.

    /tmp/volume         a directory of the host, or
    /tmp/volume/file    a file of the host, in a directory that nobody changes

The mounts are made in a mount namespace, and hide this process's own /tmp alone. So a
volume has the same simple path whatever its name is, and a guest that has taken over
its virtiofsd still cannot write to one that is read-only.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from kata_host.guest.local_syscall import (
    CLONE_NEWNS,
    CLONE_NEWUSER,
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_RDONLY,
    MS_BIND,
    MS_NODEV,
    MS_NOSUID,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
    MS_SLAVE,
    clone_tree,
    mount,
    mount_tree,
    restrict_tree,
    unshare,
)

FILE: Final = "file"
"""The name of a volume that is a file, in its directory."""
_TOP: Final = "/tmp"
_VOLUME: Final = Path(_TOP, "volume")
_FLAGS: Final = MS_NODEV | MS_NOSUID


def enter_private_tree(source: str, *, read_only: bool) -> Path:
    """Have this process see the volume at the path that is returned, for good.

    Mounts that the host makes or removes below `source` afterwards do not change it. A
    process that is not root's becomes root of a user namespace, which has no other user
    than its own. Raises `OSError`.
    """
    _unshare()
    mount("", "/", flags=MS_REC | MS_SLAVE)
    tree = clone_tree(source)
    is_directory = os.path.isdir(source)
    restrict_tree(tree, MOUNT_ATTR_NODEV | (MOUNT_ATTR_RDONLY if read_only else 0))
    mount("tmpfs", _TOP, "tmpfs", _FLAGS, "size=64k,mode=755")
    _VOLUME.mkdir()
    if is_directory:
        mount_tree(tree, str(_VOLUME))
    else:
        target = _VOLUME / FILE
        target.touch()
        mount_tree(tree, str(target))
        # Of the directory alone, and not of what is mounted in it.
        mount("", _TOP, flags=MS_REMOUNT | MS_BIND | MS_RDONLY | _FLAGS)
    return _VOLUME


def _unshare() -> None:
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0:
        unshare(CLONE_NEWNS)
        return
    unshare(CLONE_NEWUSER | CLONE_NEWNS)
    # Without this, the group may not be mapped (man 7 user_namespaces).
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
