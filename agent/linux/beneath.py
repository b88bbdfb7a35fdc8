# SPDX-License-Identifier: Apache-2.0
"""Make and find files beneath a directory that no path can lead out of.

A path that a client names or a container can change is never used by name alone,
because a planted symlink would lead anywhere in the guest. The kernel resolves the
path beneath an opened directory (`openat2`), and the result is used through its
descriptor. Symlinks that stay beneath the directory are followed.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from kata_agent.linux.openat2 import open_beneath


@contextmanager
def opened(descriptor: int) -> Iterator[int]:
    """Close `descriptor` at the end of the block."""
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def open_directory(path: str) -> int:
    """Open a directory that only the agent controls, as a root to resolve beneath."""
    return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def make_directories(
    root: int, path: str, made: list[str], *, mode: int = 0o755
) -> int:
    """Make the directory `path` beneath `root`, with the parents that are missing.

    Returns a descriptor (`O_PATH`) of the directory. The relative paths that were made
    are added to `made`, outermost first, also when a later step fails: the caller
    removes them (`remove_directories`).
    """
    current = ""
    descriptor = open_beneath(root, ".", os.O_PATH | os.O_DIRECTORY)
    try:
        for part in split(path):
            current = f"{current}/{part}" if current else part
            following = _open_or_make(root, descriptor, current, part, made, mode)
            os.close(descriptor)
            descriptor = following
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _open_or_make(
    root: int, parent: int, path: str, name: str, made: list[str], mode: int
) -> int:
    flags = os.O_PATH | os.O_DIRECTORY
    with suppress(FileNotFoundError):
        return open_beneath(root, path, flags)
    # Another process may make it, or a dangling symlink is there: opening tells.
    with suppress(FileExistsError):
        os.mkdir(name, mode, dir_fd=parent)
        made.append(path)
    return open_beneath(root, path, flags)


def remove_directories(root: int, paths: list[str]) -> None:
    """Remove the directories `paths` beneath `root`, last first, while empty.

    A directory that is gone already is passed over. `rmdir` removes empty directories
    only, so that files of others stay. Raises `OSError` for the first that stays.
    """
    for path in reversed(paths):
        with suppress(FileNotFoundError), opened(open_parent(root, path)) as parent:
            os.rmdir(os.path.basename(path), dir_fd=parent)


def make_file(root: int, path: str, *, mode: int = 0o644) -> tuple[int, bool]:
    """Open the existing file `path` beneath `root`, or make an empty one.

    Returns a descriptor (`O_PATH`) and whether the file is new.
    """
    parts = split(path)
    name, path = parts[-1], "/".join(parts)
    with opened(open_parent(root, path)) as parent:
        try:
            new = os.open(
                name,
                os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC,
                mode,
                dir_fd=parent,
            )
        except FileExistsError:
            return open_beneath(root, path, os.O_PATH), False
        os.close(new)
        try:
            return open_beneath(root, path, os.O_PATH | os.O_NOFOLLOW), True
        except BaseException:
            os.unlink(name, dir_fd=parent)
            raise


def open_parent(root: int, path: str) -> int:
    """Open (`O_PATH`) the directory that contains `path`, beneath `root`."""
    parent = "/".join(split(path)[:-1]) or "."
    return open_beneath(root, parent, os.O_PATH | os.O_DIRECTORY)


def split(path: str) -> list[str]:
    """Return the components of a relative path without `.` and empty ones."""
    return [part for part in path.split("/") if part not in ("", ".")]


def proc_path(descriptor: int) -> str:
    """Return a path for calls that take none but paths; it follows no symlink."""
    return f"/proc/self/fd/{descriptor}"


def is_directory(descriptor: int) -> bool:
    """Tell whether `descriptor` is of a directory."""
    return stat.S_ISDIR(os.fstat(descriptor).st_mode)
