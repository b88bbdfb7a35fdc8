# SPDX-License-Identifier: Apache-2.0
"""Mounts carried from one mount namespace into another (man 7 mount_namespaces)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from kata_agent.linux.beneath import (
    is_directory,
    make_directories,
    make_file,
    open_directory,
    opened,
    remove_directories,
)
from kata_agent.linux.mount_at import attach_tree, clone_tree
from kata_agent.linux.namespace import CLONE_NEWNS, in_new_thread, setns, unshare
from kata_agent.linux.openat2 import open_in_root

CLONE_FS: Final = 0x00000200


def copy_mount(from_: int, source: str, to: int, target: str) -> None:
    """Mount a copy of `source` of one mount namespace at `target` of another.

    `from_` and `to` are descriptors of the namespaces; each path is as the processes
    in its namespace see it. The mounts below `source` are copied too, and `target` is
    made if it is missing. Blocks the calling thread. Raises `OSError`.
    """

    def copy() -> None:
        # Entering a mount namespace changes the root and the working directory, so
        # this thread must not share them.
        unshare(CLONE_FS)
        with _root_of(from_) as root:
            with opened(open_in_root(root, source, os.O_PATH)) as mounted:
                directory = is_directory(mounted)
                tree = clone_tree(mounted, recursive=True)
        with opened(tree), _root_of(to) as root, _removed_on_failure(root) as made:
            with opened(
                _open_or_make(root, target, made, directory=directory)
            ) as mount_point:
                attach_tree(tree, mount_point)

    in_new_thread(copy)


@contextmanager
def _root_of(namespace: int) -> Iterator[int]:
    """Move this thread into a mount namespace; open its root for the block."""
    setns(namespace, CLONE_NEWNS)
    with opened(open_directory("/")) as root:
        yield root


@contextmanager
def _removed_on_failure(root: int) -> Iterator[list[str]]:
    """Yield a list for new directories; remove these if the block fails."""
    made: list[str] = []
    try:
        yield made
    except BaseException:
        with suppress(OSError):
            remove_directories(root, made)
        raise


def _open_or_make(root: int, path: str, made: list[str], *, directory: bool) -> int:
    with suppress(FileNotFoundError):
        return open_in_root(root, path, os.O_PATH)
    if directory:
        return make_directories(root, path, made)
    os.close(make_directories(root, os.path.dirname(path), made))
    return make_file(root, path)[0]
