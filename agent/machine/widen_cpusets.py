# SPDX-License-Identifier: Apache-2.0
"""The CPUs of containers, after CPUs were plugged in.

Version 1 copies the parent's CPUs into each new cgroup, and so the cgroups above a
container must be widened first, from the top down. In version 2 a cgroup without a set
of its own has all CPUs, and so only a container's own set is written again.
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
    """Give each container the online CPUs out of those that it asked for. Blocks.

    `containers` are the path of a cgroup and a list as `0-3,7`; an empty list means
    every CPU. A cgroup that has gone is left out. Raises `OSError`.
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
    """Return the CPUs of the list `wanted` that are online; if none is, all online."""
    possible = parse_list(wanted) & parse_list(online)
    return serialize_list(possible) if possible else online


def _write(root: Path, cgroup: PurePosixPath, cpus: str) -> None:
    file = root / cgroup.relative_to("/") / "cpuset.cpus"
    try:
        file.write_text(cpus)
    except FileNotFoundError:
        # The container has been removed, or the controller is missing.
        return
