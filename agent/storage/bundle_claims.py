# SPDX-License-Identifier: Apache-2.0
"""Whose the directories in `/run/kata-containers` are.

The directory with a container's id is its bundle: `config.json`, with the environment
of its process, and its own storages. Another container's storage or root file system
there would hide the file, or show it. `shared` and `sandbox` are the agent's own.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kata_agent.errors import InvalidArgument
from kata_agent.storage.mount_point import MountPoint
from kata_agent.system_paths import SystemPaths

OWN: Final = ("sandbox", "sandbox/resolv.conf", "shared")
"""Paths of the agent that nothing is mounted over."""
SHARED: Final = "shared/containers"
"""Where the host's files are, in a storage of the sandbox: of no container."""


class BundleClaims:
    """The containers that have a bundle, or are about to."""

    def __init__(self, paths: SystemPaths) -> None:
        self._root = paths.sandbox
        self._roots: dict[str, MountPoint | None] = {}
        """Their root file systems, None for one that is in no sandbox's directory."""

    def claim(
        self,
        container_id: str,
        root: MountPoint | None,
        used: Iterable[tuple[MountPoint, set[str | None]]],
    ) -> None:
        """Give a container its bundle; `used` are the storages and their users.

        Raises `InvalidArgument` for an id that is the name of another directory, if
        another container has a storage or its root there, and if `root` is in the
        bundle of another container.
        """
        if container_id in OWN:
            raise InvalidArgument(
                f"container {container_id!r}: invalid id, "
                f"{self._root}/{container_id} is a directory of the sandbox"
            )
        for point, users in used:
            others = users - {container_id, None}
            if self._is_in(point, container_id) and others:
                raise InvalidArgument(
                    f"container {container_id!r}: in its bundle is storage "
                    f"{str(point)!r} of container {others.pop()!r}"
                )
        for other, other_root in self._roots.items():
            if root is not None and self._is_in(root, other):
                raise InvalidArgument(
                    f"container {container_id!r}: its root file system {str(root)!r} "
                    f"is in the bundle of container {other!r}"
                )
            if other_root is not None and self._is_in(other_root, container_id):
                raise InvalidArgument(
                    f"container {container_id!r}: in its bundle is the root file "
                    f"system {str(other_root)!r} of container {other!r}"
                )
        self._roots[container_id] = root

    def release(self, container_id: str) -> None:
        """Take the bundle back; none is fine."""
        self._roots.pop(container_id, None)

    def check(self, point: MountPoint, user: str | None) -> None:
        """Raise `InvalidArgument` for a storage in a place that is not its user's.

        `user` is None for the storages of the sandbox.
        """
        if point.root != self._root:
            return
        if point.path in OWN or (point.path == SHARED and user is not None):
            raise InvalidArgument(
                f"storage {str(point)!r}: would hide a directory of the sandbox"
            )
        owner = point.path.partition("/")[0]
        if owner in self._roots and owner != user:
            raise InvalidArgument(
                f"storage {str(point)!r}: is in the bundle of container {owner!r}"
            )

    def _is_in(self, point: MountPoint, directory: str) -> bool:
        return point.root == self._root and point.path.partition("/")[0] == directory
