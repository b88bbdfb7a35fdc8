# SPDX-License-Identifier: Apache-2.0
"""After CPUs were plugged in: let every container have those that it may have.

Version 1 copies the CPUs of the moment into each new cgroup, so the cgroups above a
container must be widened first, from the top down. Version 2 follows by itself where
nothing was set, and only a container's own set is written again.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from kata_agent.cgroup.open import is_unified
from kata_agent.oci.cpuset import parse_list, serialize_list
from kata_agent.system_paths import SystemPaths


def widen_cpusets(
    paths: SystemPaths, containers: Iterable[tuple[PurePosixPath, str]]
) -> None:
    """Write the CPUs of each container: its cgroup's path, and the list it asked for.

    An empty list is every CPU. Blocks. A cgroup that has gone is left out.
    """
    online = (paths.sys / "devices/system/cpu/online").read_text().strip()
    unified = is_unified(paths.cgroup)
    root = paths.cgroup if unified else paths.cgroup / "cpuset"
    widened: set[PurePosixPath] = set()
    for path, wanted in containers:
        if unified and not wanted:
            continue
        if not unified:
            for parent in reversed(path.parents):
                if parent.name and parent not in widened:
                    _write(root, parent, online)
                    widened.add(parent)
        _write(root, path, possible_cpus(wanted, online))


def possible_cpus(wanted: str, online: str) -> str:
    """Return the CPUs of the list `wanted` that are online, or all if none is."""
    possible = parse_list(wanted) & parse_list(online)
    return serialize_list(possible) if possible else online


def _write(root: Path, cgroup: PurePosixPath, cpus: str) -> None:
    file = root / cgroup.relative_to("/") / "cpuset.cpus"
    try:
        file.write_text(cpus)
    except FileNotFoundError:
        # The container has been removed, or has no such controller.
        return
