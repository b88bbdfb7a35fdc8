# SPDX-License-Identifier: Apache-2.0
"""Sources: files and directories of the guest that the host wants bound or copied."""

from __future__ import annotations

import os

from kata_agent.errors import InvalidArgument, NotFound
from kata_agent.linux.openat2 import open_beneath
from kata_agent.storage.mount_point import parse_mount_point, root_of
from kata_agent.system_paths import SystemPaths


def open_source(paths: SystemPaths, source: str) -> int:
    """Return a descriptor (`O_PATH`) of the absolute path `source`. Blocks.

    A source in one of the sandbox's directories is confined to that directory like a
    mount point, because a container may have put a symlink there. Raises
    `InvalidArgument`, `NotFound` or `OSError`.
    """
    parts = source.split("/")
    if not source.startswith("/") or ".." in parts or "\0" in source:
        raise InvalidArgument(f"source {source!r}: not an absolute path without '..'")
    try:
        if root_of(paths, source) is None:
            return os.open(source, os.O_PATH | os.O_CLOEXEC)
        inside = parse_mount_point(paths, source)
        with inside.opened_root() as root:
            return open_beneath(root, inside.path, os.O_PATH)
    except FileNotFoundError as error:
        raise NotFound(f"source {source!r}: no such file") from error
