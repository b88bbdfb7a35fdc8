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
)
from kata_agent.linux.mount import attach_tree, clone_tree
from kata_agent.linux.namespace import CLONE_NEWNS, in_new_thread, setns, unshare
from kata_agent.linux.openat2 import open_in_root

CLONE_FS: Final = 0x00000200


def copy_mount(from_: int, source: str, to: int, target: str) -> None:
    """Mount a copy of what is at `source` in one namespace at `target` in another.

    Both namespaces are descriptors, and both paths are as their processes see them;
    what is mounted below `source` comes along, and `target` is made if need be.
    Blocks. Raises `OSError`.
    """

    def copy() -> None:
        # The root and the working directory change with the mount namespace, so
        # they must be this thread's own.
        unshare(CLONE_FS)
        with _root_of(from_) as root:
            with opened(open_in_root(root, source, os.O_PATH)) as mounted:
                directory = is_directory(mounted)
                tree = clone_tree(mounted, recursive=True)
        with opened(tree), _root_of(to) as root:
            with opened(_open_or_make(root, target, directory=directory)) as place:
                attach_tree(tree, place)

    in_new_thread(copy)


@contextmanager
def _root_of(namespace: int) -> Iterator[int]:
    """Enter a mount namespace for good, and open its root directory for the block."""
    setns(namespace, CLONE_NEWNS)
    with opened(open_directory("/")) as root:
        yield root


def _open_or_make(root: int, path: str, *, directory: bool) -> int:
    with suppress(FileNotFoundError):
        return open_in_root(root, path, os.O_PATH)
    if directory:
        return make_directories(root, path)[0]
    os.close(make_directories(root, os.path.dirname(path))[0])
    return make_file(root, path)[0]
