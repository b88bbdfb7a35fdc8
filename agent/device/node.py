# SPDX-License-Identifier: Apache-2.0
"""Device nodes: their paths in the guest, and the devices that they stand for."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from kata_agent.errors import InvalidArgument, NotFound
from kata_agent.system_paths import SystemPaths


@dataclass(frozen=True, slots=True)
class DeviceNode:
    """A device as a container is to get it."""

    type: str
    """`b` or `c`, as in an OCI spec."""
    major: int
    minor: int
    container_path: str | None = None
    """The path in the container, if that is not the one that the host asked for."""


def node_name(vm_path: str) -> str:
    """Return the part of `vm_path` after `/dev/`. Raises `InvalidArgument`."""
    name = vm_path.removeprefix("/dev/")
    if name == vm_path or {"", ".", ".."} & set(name.split("/")):
        raise InvalidArgument(f"device {vm_path!r}: not a node in /dev")
    return name


def node_at(paths: SystemPaths, vm_path: str) -> Path:
    """Return the node that the host calls `vm_path` (`/dev/vda`).

    Raises `InvalidArgument` for a path outside of `/dev`.
    """
    return paths.dev / node_name(vm_path)


def read_node(path: Path) -> DeviceNode:
    """Read type and numbers of a device node (man 2 stat). Blocks.

    Raises `NotFound`, or `InvalidArgument` if `path` is not a device node.
    """
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise NotFound(f"device {path}: no such node") from None
    if stat.S_ISBLK(status.st_mode):
        type_ = "b"
    elif stat.S_ISCHR(status.st_mode):
        type_ = "c"
    else:
        raise InvalidArgument(f"device {path}: not a device node")
    return DeviceNode(type_, os.major(status.st_rdev), os.minor(status.st_rdev))
