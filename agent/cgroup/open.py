# SPDX-License-Identifier: Apache-2.0
"""Which cgroup a spec means, in the version that the guest has."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from kata_agent.cgroup.cgroup import Cgroup
from kata_agent.cgroup.cgroup_v1 import CgroupV1
from kata_agent.cgroup.cgroup_v2 import CgroupV2
from kata_agent.cgroup.watches import Watches
from kata_agent.errors import InvalidArgument


def is_unified(root: Path) -> bool:
    """Whether `root` (`/sys/fs/cgroup`) is a version 2 hierarchy."""
    return (root / "cgroup.controllers").exists()


def open_cgroup(root: Path, path: PurePosixPath, watches: Watches) -> Cgroup:
    """Return the cgroup at `path` (absolute, in the agent's cgroup namespace)."""
    relative = path.relative_to("/")
    if is_unified(root):
        return CgroupV2(root / relative, watches)
    return CgroupV1(root, relative)


def to_path(cgroups_path: str, container_id: str) -> PurePosixPath:
    """Return the absolute cgroup path that a spec's `cgroupsPath` means.

    `slice:prefix:name`, systemd's form, is a path of three parts: the agent
    always uses cgroupfs, also beside systemd. Nothing means `/<container id>`.
    Raises `InvalidArgument` for a path that leaves the hierarchy.
    """
    path = PurePosixPath(
        "/", cgroups_path.replace(":", "/").lstrip("/") or container_id
    )
    if ".." in path.parts or "\0" in cgroups_path or path == PurePosixPath("/"):
        raise InvalidArgument(
            f"container {container_id!r}: invalid cgroups path {cgroups_path!r}"
        )
    return path
