# SPDX-License-Identifier: Apache-2.0
"""The cgroup that a spec means, in the version that the guest has."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from typing import Final

from kata_agent.cgroup.cgroup import Cgroup
from kata_agent.cgroup.cgroup_v1 import CgroupV1
from kata_agent.cgroup.cgroup_v2 import CgroupV2
from kata_agent.cgroup.file_watches import FileWatches
from kata_agent.errors import InvalidArgument

NAME_MAX: Final = 255
"""Bytes of a name (limits.h)."""
LONGEST_PATH: Final = 3072
"""Bytes of a cgroup's path; `PATH_MAX`, 4,096, is for the hierarchy and a file too."""


def is_unified(root: Path) -> bool:
    """Tell whether `root` (`/sys/fs/cgroup`) is a version 2 hierarchy."""
    return (root / "cgroup.controllers").exists()


def open_cgroup(root: Path, path: PurePosixPath, watches: FileWatches) -> Cgroup:
    """Return the cgroup at `path` (absolute, in the agent's cgroup namespace)."""
    relative = path.relative_to("/")
    if is_unified(root):
        return CgroupV2(root / relative, watches)
    return CgroupV1(root, relative)


def to_path(cgroups_path: str, container_id: str) -> PurePosixPath:
    """Return the absolute cgroup path that a spec's `cgroupsPath` means.

    systemd's form, `slice:prefix:name`, becomes a path of three parts, because the
    agent always uses cgroupfs, also beside systemd. An empty path means
    `/<container id>`. Raises `InvalidArgument` for a path that leaves the hierarchy or
    that the kernel refuses.
    """
    path = PurePosixPath(
        "/", cgroups_path.replace(":", "/").lstrip("/") or container_id
    )
    lengths = [len(os.fsencode(name)) for name in path.parts]
    is_inside = ".." not in path.parts and path != PurePosixPath("/")
    fits = max(lengths) <= NAME_MAX and sum(lengths) + len(lengths) <= LONGEST_PATH
    if not is_inside or not fits or set(cgroups_path) & {"\0", "\n"}:
        raise InvalidArgument(
            f"container {container_id!r}: invalid cgroups path {cgroups_path!r}"
        )
    return path
