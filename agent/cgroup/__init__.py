# SPDX-License-Identifier: Apache-2.0
"""Cgroups: what the agent reads and writes of them, version 1 and 2.

The OCI runtime makes a container's cgroup and sets its limits. Everything else
goes through `Cgroup`: process lists, killing, freezing, statistics, OOM events.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Protocol

from agent.cgroup.watch import Watches
from agent.errors import InvalidArgument
from protos import agent_pb2


class Cgroup(Protocol):
    """One container's cgroup, in whatever hierarchies there are."""

    def pids(self) -> list[int]:
        """Return its processes and those of cgroups below, in the agent's numbers."""
        ...

    async def kill(self) -> None:
        """Send SIGKILL to every process, also to those forked meanwhile."""
        ...

    async def wait_for_empty(self) -> None:
        """Return when no process is left."""
        ...

    async def freeze(self, timeout: float) -> None:
        """Stop every process; returns once the kernel says so. Raises `Timeout`."""
        ...

    async def thaw(self) -> None:
        """Let every process go on."""
        ...

    def stats(self) -> agent_pb2.CgroupStats:
        """Read the statistics; a controller that is not there has none. May block."""
        ...

    def lift(self, limit: str) -> None:
        """Take off one of the limits of `agent.spec.resources.LIFTABLE`. May block."""
        ...

    def watch_oom(self, on_kill: Callable[[], None]) -> Callable[[], None]:
        """Call `on_kill` once for each OOM kill; return what stops that."""
        ...

    async def remove(self) -> None:
        """Remove the empty cgroup and those below it; none is fine."""
        ...


def is_unified(root: Path) -> bool:
    """Whether `root` (`/sys/fs/cgroup`) is a version 2 hierarchy."""
    return (root / "cgroup.controllers").exists()


def open_cgroup(root: Path, path: PurePosixPath, watches: Watches) -> Cgroup:
    """Return the cgroup at `path` (absolute, in the agent's cgroup namespace)."""
    relative = path.relative_to("/")
    if is_unified(root):
        from agent.cgroup.v2 import CgroupV2

        return CgroupV2(root / relative, watches)
    from agent.cgroup.v1 import CgroupV1

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
