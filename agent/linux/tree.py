# SPDX-License-Identifier: Apache-2.0
"""Whole directory trees that a container made, and may be changing right now.

Nothing here recurses or follows a symlink, because a container can nest directories
deeper than any stack and replace a directory by a link at any moment.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator
from contextlib import closing

from kata_agent.linux.beneath import opened, proc_path
from kata_agent.linux.openat2 import (
    RESOLVE_BENEATH,
    RESOLVE_NO_SYMLINKS,
    RESOLVE_NO_XDEV,
    openat2,
)

INSIDE = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV
_REPLACED = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV)
SETGID_DIRECTORY = stat.S_ISGID | 0o110
"""Mode bits of a group's directory: its members enter it, and new files are its."""


def walk(root: int) -> Generator[tuple[str, int]]:
    """Yield `(path, descriptor)` of every entry below `root`, parents first.

    A descriptor is `O_PATH`, is of the link itself for a symlink, and is valid until
    the next step. A caller that may fail in between closes the walk. Other file systems
    mounted inside are left out.
    """
    directories = [""]
    while directories:
        path = directories.pop()
        try:
            directory = openat2(
                root, path or ".", os.O_RDONLY | os.O_DIRECTORY, resolve=INSIDE
            )
        except OSError as error:
            if not path or error.errno not in _REPLACED:
                raise
            # Since the listing it was removed, replaced or mounted on: leave it.
            continue
        with opened(directory):
            for name in sorted(os.listdir(directory)):
                inner = f"{path}/{name}" if path else name
                try:
                    entry = os.open(
                        name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory
                    )
                except FileNotFoundError:
                    continue
                with opened(entry):
                    if stat.S_ISDIR(os.fstat(entry).st_mode):
                        directories.append(inner)
                    yield inner, entry


def set_group(root: int, group: int, *, read_only: bool) -> None:
    """Let a group use `root` and everything below.

    Files become readable and writable to the group, directories enterable and
    set-group-id (Kubernetes, `fsGroup`). With `read_only` nothing becomes
    writable.
    """
    bits = 0o440 if read_only else 0o660
    _give(root, group, bits)
    with closing(walk(root)) as entries:
        for _, entry in entries:
            _give(entry, group, bits)


def has_group(root: int, group: int, *, read_only: bool) -> bool:
    """Tell whether `root` itself already has the owner and mode of `set_group`."""
    status = os.fstat(root)
    wanted = (0o440 if read_only else 0o660) | SETGID_DIRECTORY
    return status.st_gid == group and status.st_mode & wanted == wanted


def _give(entry: int, group: int, bits: int) -> None:
    mode = os.fstat(entry).st_mode
    if stat.S_ISLNK(mode):
        return
    if stat.S_ISDIR(mode):
        bits |= SETGID_DIRECTORY
    # chown clears set-id bits, so the mode comes second.
    os.chown(proc_path(entry), -1, group)
    os.chmod(proc_path(entry), stat.S_IMODE(mode) | bits)


def remove_directory(parent: int, name: str) -> None:
    """Remove the directory `name` in `parent`, with everything in it.

    Raises `OSError` when something is mounted there; the mount stays.
    """
    with opened(_open_inner(parent, name)) as directory:
        empty(directory)
    os.rmdir(name, dir_fd=parent)


def _open_inner(directory: int, name: str) -> int:
    return openat2(directory, name, os.O_RDONLY | os.O_DIRECTORY, resolve=INSIDE)


def empty(directory: int) -> None:
    """Remove everything in `directory`.

    Subdirectories are first moved up to it, so that no path gets long and no stack
    deep. Raises `OSError` when something is mounted in it; the mount stays.
    """
    number = 0
    pending = list(os.listdir(directory))
    while pending:
        name = pending.pop()
        try:
            os.unlink(name, dir_fd=directory)
            continue
        except IsADirectoryError:
            pass
        with opened(_open_inner(directory, name)) as inner:
            for child in os.listdir(inner):
                try:
                    os.unlink(child, dir_fd=inner)
                except IsADirectoryError:
                    number += 1
                    moved = f".removing-{os.getpid()}-{number}"
                    os.rename(child, moved, src_dir_fd=inner, dst_dir_fd=directory)
                    pending.append(moved)
        os.rmdir(name, dir_fd=directory)
