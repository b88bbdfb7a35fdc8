# SPDX-License-Identifier: Apache-2.0
"""What a driver finds: a device's node in the guest, and what it says."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kata_agent.errors import InvalidArgument, NotFound
from kata_agent.system_paths import SystemPaths


@dataclass(frozen=True, slots=True)
class DeviceNode:
    """A device as a container is to get it."""

    kind: str
    """`b` or `c`, as in an OCI spec."""
    major: int
    minor: int
    container_path: str | None = None
    """Where the container sees it, when that is not where the host asked for."""


@dataclass(frozen=True, slots=True)
class Found:
    """What became of one device of a request."""

    node: DeviceNode | None = None
    """None for a device that the guest's kernel drives: the container gets no node."""
    pci_addresses: Mapping[str, str] = field(default_factory=dict)
    """Host address -> guest address (`0000:01:00.0`) of what is passed through."""


def node_name(vm_path: str) -> str:
    """Return what follows `/dev/`. Raises `InvalidArgument`."""
    name = vm_path.removeprefix("/dev/")
    if name == vm_path or {"", ".", ".."} & set(name.split("/")):
        raise InvalidArgument(f"device {vm_path!r}: not a node in /dev")
    return name


def node_at(paths: SystemPaths, vm_path: str) -> Path:
    """Return the node that the host calls `vm_path` (`/dev/vda`)."""
    return paths.dev / node_name(vm_path)


def read_node(path: Path) -> DeviceNode:
    """Look at a device node. Raises `NotFound`, or `InvalidArgument` if it is none."""
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise NotFound(f"device {path}: no such node") from None
    if stat.S_ISBLK(status.st_mode):
        kind = "b"
    elif stat.S_ISCHR(status.st_mode):
        kind = "c"
    else:
        raise InvalidArgument(f"device {path}: not a device node")
    return DeviceNode(kind, os.major(status.st_rdev), os.minor(status.st_rdev))
