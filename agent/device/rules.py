# SPDX-License-Identifier: Apache-2.0
"""The device rules of a container's cgroup.

Hosts leave the rules out, and the guest writes them: they allow only the harmless
devices that every container has and the devices of its spec. In any case the last rules
deny the disks that the guest itself runs from, because a container may make
nodes (CAP_MKNOD) and must not write the agent's own files through one (CVE-2020-2023,
CVE-2026-24834).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeAlias

from kata_agent.device.node import read_node
from kata_agent.errors import InvalidArgument, NotFound
from kata_agent.linux.mountinfo import Mount, read_mounts
from kata_agent.system_paths import SystemPaths

Numbers: TypeAlias = tuple[int, int]
"""Major and minor number of a device."""

DEFAULTS: Final[tuple[dict[str, Any], ...]] = (
    {"allow": False, "access": "rwm"},
    # To make a node is harmless as long as opening it is not allowed.
    {"allow": True, "type": "c", "access": "m"},
    {"allow": True, "type": "b", "access": "m"},
    {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
    {"allow": True, "type": "c", "major": 1, "minor": 5, "access": "rwm"},
    {"allow": True, "type": "c", "major": 1, "minor": 7, "access": "rwm"},
    {"allow": True, "type": "c", "major": 1, "minor": 8, "access": "rwm"},
    {"allow": True, "type": "c", "major": 1, "minor": 9, "access": "rwm"},
    {"allow": True, "type": "c", "major": 5, "minor": 0, "access": "rwm"},
    {"allow": True, "type": "c", "major": 5, "minor": 1, "access": "rwm"},
    {"allow": True, "type": "c", "major": 5, "minor": 2, "access": "rwm"},
    {"allow": True, "type": "c", "major": 136, "access": "rwm"},
)
"""null, zero, full, random, urandom, tty, console, ptmx and the terminals
(kernel, admin-guide/devices.txt)."""


def complete_rules(spec: dict[str, Any], own_disks: list[Numbers]) -> None:
    """Write the rules into `spec`, in place, if it has none; deny `own_disks`."""
    linux = spec.setdefault("linux", {})
    resources = linux.get("resources") or {}
    rules = resources.get("devices") or _default_rules(linux.get("devices") or [])
    for major, minor in own_disks:
        rules.append(
            {
                "allow": False,
                "type": "b",
                "major": major,
                "minor": minor,
                "access": "rw",
            }
        )
    linux["resources"] = {**resources, "devices": rules}


def _default_rules(devices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Allow the devices that every container has, and those of its spec."""
    rules = [dict(rule) for rule in DEFAULTS]
    for device in devices:
        if device.get("type") in ("b", "c", "u"):
            rules.append(
                {
                    "allow": True,
                    "type": "b" if device["type"] == "b" else "c",
                    "major": device.get("major", 0),
                    "minor": device.get("minor", 0),
                    "access": "rwm",
                }
            )
    return rules


def read_own_disks(paths: SystemPaths) -> list[Numbers]:
    """Return the block devices that the guest itself runs from, or swaps to. Blocks.

    A mount below the sandbox's directory is the containers', and so does not count.
    Anonymous devices (major 0) are no disks.
    """
    sandbox = os.fspath(paths.sandbox)
    disks = {
        (mount.major, mount.minor)
        for mount in read_mounts(paths.proc / "self/mountinfo")
        if mount.major and not _is_below(mount, sandbox)
    }
    disks.update(_swap_disks(paths))
    # Through the disk that a partition or a mapped device is on, its blocks can be
    # written too.
    pending = list(disks)
    while pending:
        more = set(_disks_behind(paths, *pending.pop())) - disks
        disks |= more
        pending += more
    return sorted(disks)


def _swap_disks(paths: SystemPaths) -> Iterator[Numbers]:
    """Yield the disks that the guest swaps to (man 5 proc, /proc/swaps)."""
    try:
        lines = (paths.proc / "swaps").read_text().splitlines()[1:]
    except FileNotFoundError:
        # A kernel without swap.
        return
    for line in lines:
        # A swap file is no node; its disk is not looked for here.
        with suppress(NotFound, InvalidArgument):
            node = read_node(paths.dev / line.split()[0].removeprefix("/dev/"))
            yield node.major, node.minor


def _disks_behind(paths: SystemPaths, major: int, minor: int) -> Iterator[Numbers]:
    """Yield the disk of a partition, and those below a mapped device (dm-verity)."""
    device = paths.sys / "dev/block" / f"{major}:{minor}"
    if (device / "partition").exists():
        yield _numbers(device.resolve().parent / "dev")
    for slave in (device / "slaves").glob("*"):
        yield _numbers(slave / "dev")


def _numbers(file: Path) -> Numbers:
    major, _, minor = file.read_text().partition(":")
    return int(major), int(minor)


def _is_below(mount: Mount, directory: str) -> bool:
    return mount.point == directory or mount.point.startswith(f"{directory}/")
