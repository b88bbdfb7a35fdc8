# SPDX-License-Identifier: Apache-2.0
"""The working directory of a process, which must be inside its container.

The host sends the path, but the image chooses it, and `/proc` has links that lead out
of the container (`/proc/1/cwd`): crun before 1.14 follows them (CVE-2024-21626).
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from kata_agent.errors import Internal, InvalidArgument
from kata_agent.linux.mountinfo import read_mounts
from kata_agent.linux.openat2 import (
    RESOLVE_IN_ROOT,
    RESOLVE_NO_SYMLINKS,
    open_in_root,
    openat2,
)


def resolve_before(container_id: str, path: str, root: Path) -> str:
    """Return `path` without symbolic links, which the container could still replace.

    `root` is the link to the container's root directory in `/proc`. A path that the
    agent may not look up is returned as it is. Raises `InvalidArgument` if `path` goes
    through a magic link, and `Internal` if it is no directory. May block.
    """
    try:
        descriptor = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError):
        # The container has ended.
        return path
    try:
        return _resolve(descriptor, path)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _outside(container_id, path) from None
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            # The runtime would find the directory that the container makes meanwhile.
            raise Internal(
                f"container {container_id!r}: exec failed: working directory {path!r}: "
                f"{os.strerror(error.errno)}"
            ) from None
        return path
    finally:
        os.close(descriptor)


def _resolve(root: int, path: str) -> str:
    directory = open_in_root(root, path, os.O_PATH | os.O_DIRECTORY)
    try:
        # The path from the root of the container's mount namespace (d_path).
        resolved = os.readlink(f"/proc/self/fd/{directory}")
        found = openat2(
            root,
            resolved,
            os.O_PATH | os.O_DIRECTORY,
            resolve=RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS,
        )
        try:
            same = os.path.samestat(os.fstat(directory), os.fstat(found))
        finally:
            os.close(found)
        # Not the same for a deleted directory, and in a chroot.
        return resolved if same else path
    finally:
        os.close(directory)


def check_after(container_id: str, path: str, process: Path) -> None:
    """Raise `InvalidArgument` if a process is not inside its own root.

    `process` is its directory in `/proc`. The list of its mounts has every mount that
    it can reach from its root; its working directory must be on one of them. May block.
    """
    before = None
    while True:
        try:
            look = os.readlink(process / "ns/mnt"), _mount_id_of(process / "cwd")
            mounts = {mount.id for mount in read_mounts(process / "mountinfo")}
        except (FileNotFoundError, ProcessLookupError):
            # The process has ended.
            return
        if look[1] in mounts:
            return
        if look == before:
            raise _outside(container_id, path)
        # A process that runs may have gone elsewhere between two of these reads.
        before = look


def _mount_id_of(path: Path) -> int:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        return _mount_id(descriptor)
    finally:
        os.close(descriptor)


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
