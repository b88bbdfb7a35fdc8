# SPDX-License-Identifier: Apache-2.0
"""Whether two cgroups share processes: one is the other, or is above it.

A container is killed by its cgroup, with all that is below. Cgroups beside each other
in a common parent, as the containers of a pod are, share none.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

SHELLS: Final = "kata-agent-shells"
"""The name of the cgroup of the debug console's shells."""


def overlap(one: PurePosixPath, other: PurePosixPath) -> bool:
    """Tell whether one of two absolute paths is the other or is above it."""
    return one.is_relative_to(other) or other.is_relative_to(one)


def own_cgroups(proc: Path, *, unified: bool) -> Iterator[PurePosixPath]:
    """Yield the cgroups of this process in the mounted version, less the root.

    All that the agent starts is in them too: the pause process, hooks, programs. The
    root is above every container (man 7 cgroups, /proc/pid/cgroup). Raises `OSError`.
    """
    for line in (proc / "self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if unified is not bool(controllers) and path != "/":
            yield PurePosixPath(path)


def shells_cgroup(proc: Path, *, unified: bool) -> PurePosixPath | None:
    """Return the path for the cgroup of the debug console's shells.

    In version 1 below the agent's in the hierarchy of the CPU controller, None without
    one. In version 2 beside the agent's, because no cgroup with processes has children
    that share its CPUs out (man 7 cgroups, "no internal processes"); in the root, which
    may have both, below. Raises `OSError`.
    """
    for line in (proc / "self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if unified and not controllers:
            return PurePosixPath(path).parent / SHELLS
        if not unified and "cpu" in controllers.split(","):
            return PurePosixPath(path) / SHELLS
    return None
