# SPDX-License-Identifier: Apache-2.0
"""What a scenario must leave as it was."""

from __future__ import annotations

import os
from dataclasses import dataclass

from bench.stage import children_of, descriptors_of, mount_points_of


@dataclass(frozen=True, slots=True)
class Left:
    """What the agent and the guest hold, to be the same after each scenario."""

    descriptors: tuple[str, ...]
    mounts: tuple[str, ...]
    cgroups: tuple[str, ...]
    processes: tuple[str, ...]
    files: tuple[str, ...]

    @classmethod
    def of(cls, pid: int) -> Left:
        root = f"/proc/{pid}/root"
        run = sorted(
            os.path.join(path, name)
            for path, directories, files in os.walk(f"{root}/run")
            for name in (*directories, *files)
        )
        return cls(
            tuple(descriptors_of(pid)),
            tuple(sorted(mount_points_of(pid))),
            tuple(sorted(path for path, _, _ in os.walk(f"{root}/sys/fs/cgroup"))),
            tuple(sorted(children_of(pid))),
            (*run, *sorted(os.listdir("/")), *sorted(os.listdir("/etc"))),
        )

    def without(self, other: Left) -> dict[str, object]:
        """Return how this one differs from `other`."""
        found: dict[str, object] = {}
        for name in self.__slots__:
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine != theirs:
                found[name] = (
                    [each for each in mine if mine.count(each) > theirs.count(each)],
                    [each for each in theirs if theirs.count(each) > mine.count(each)],
                )
        return found
