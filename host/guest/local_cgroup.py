# SPDX-License-Identifier: Apache-2.0
"""The cgroups of a local guest: exactly one version, in child cgroups of its own.

A guest must see the tree of one version only, because crun refuses a mixture, while the
host may have both. The supervisor therefore mounts one version in a mount namespace of
its own and makes a child cgroup in each hierarchy. The guest mounts the same version
again in a cgroup namespace that is rooted at that child, so it sees its cgroup as `/`.

v1: the child is below the caller's own cgroup in every hierarchy, so that the caller's
limits hold for the guest. v2: the child is below the root, because the caller's cgroup
holds processes and therefore cannot give controllers to children (man 7 cgroups, "no
internal processes").
"""

from __future__ import annotations

import os
import time
from typing import Final, NamedTuple

from kata_host.guest.local_syscall import MS_NODEV, MS_NOEXEC, MS_NOSUID, detach, mount

MOUNT_POINT: Final = "/sys/fs/cgroup"
PREFIX: Final = "kata-local-"
REMOVAL_TIMEOUT: Final = 5.0
"""Seconds for the processes of a cgroup to end."""

_FLAGS: Final = MS_NOSUID | MS_NODEV | MS_NOEXEC
_LEAF: Final = "init"
"""The cgroup of a v2 guest's agent, because the guest's root must hold no process."""


class Hierarchy(NamedTuple):
    """A tree of cgroups, and the cgroup of the calling process in it."""

    controllers: str
    """As in /proc/self/cgroup: `cpu,cpuacct`, `name=systemd`, empty for v2."""
    own: str
    """The path of the caller's cgroup: `/`, `/user.slice/...`."""

    @property
    def is_v2(self) -> bool:
        """Whether this is the one hierarchy of cgroup v2."""
        return not self.controllers

    @property
    def mount_point(self) -> str:
        """Where `mount_hierarchies` mounts the hierarchy."""
        name = self.controllers.removeprefix("name=")
        return f"{MOUNT_POINT}/{name}" if name else MOUNT_POINT

    @property
    def parent(self) -> str:
        """The directory in which guests get their cgroups."""
        own = "" if self.is_v2 or self.own == "/" else self.own
        return self.mount_point + own


def hierarchies(version: str = "auto", table: str | None = None) -> list[Hierarchy]:
    """Return the hierarchies for cgroup `version`: `v1`, `v2` or `auto`.

    `auto` is v1 if the host has controllers there, because v2 lacks those, and v2
    otherwise. `table` is the content of /proc/self/cgroup. Raises `ValueError` for
    another version, and for one that the host does not have.
    """
    if table is None:
        with open("/proc/self/cgroup") as file:
            table = file.read()
    found = [
        Hierarchy(controllers, own)
        for _, controllers, own in (line.split(":", 2) for line in table.splitlines())
    ]
    v1 = [hierarchy for hierarchy in found if not hierarchy.is_v2]
    v2 = [hierarchy for hierarchy in found if hierarchy.is_v2]
    if version == "auto":
        has_controllers = any("=" not in hierarchy.controllers for hierarchy in v1)
        version = "v1" if has_controllers else "v2"
    chosen = {"v1": v1, "v2": v2}.get(version)
    if chosen is None:
        raise ValueError(f"unknown cgroup version '{version}', expected v1, v2 or auto")
    if not chosen:
        raise ValueError(f"cgroup version '{version}' is not on this host")
    return chosen


def mount_hierarchies(chosen: list[Hierarchy]) -> None:
    """Mount these hierarchies and no others below /sys/fs/cgroup of this namespace."""
    detach(MOUNT_POINT)
    if chosen[0].is_v2:
        mount("cgroup2", MOUNT_POINT, "cgroup2", _FLAGS)
        return
    mount("tmpfs", MOUNT_POINT, "tmpfs", _FLAGS, "mode=755")
    for hierarchy in chosen:
        named = "none," if "=" in hierarchy.controllers else ""
        os.mkdir(hierarchy.mount_point)
        mount(
            "cgroup",
            hierarchy.mount_point,
            "cgroup",
            _FLAGS,
            named + hierarchy.controllers,
        )


def create(chosen: list[Hierarchy], name: str) -> None:
    """Make the cgroup `name` in every hierarchy. Raises `OSError`."""
    for hierarchy in chosen:
        directory = f"{hierarchy.parent}/{name}"
        os.mkdir(directory)
        if "cpuset" in hierarchy.controllers.split(","):
            # A new v1 cpuset is empty, and no process may enter an empty one.
            for file in ("cpuset.cpus", "cpuset.mems"):
                _write(f"{directory}/{file}", _read(f"{hierarchy.parent}/{file}"))


def enter(chosen: list[Hierarchy], name: str) -> None:
    """Move the caller into the cgroup `name` of every hierarchy."""
    for hierarchy in chosen:
        _write(f"{hierarchy.parent}/{name}/cgroup.procs", "0")


def delegate() -> None:
    """Give the cgroups of a v2 guest every controller; call this inside the guest."""
    os.mkdir(f"{MOUNT_POINT}/{_LEAF}")
    _write(f"{MOUNT_POINT}/{_LEAF}/cgroup.procs", "0")
    for controller in _read(f"{MOUNT_POINT}/cgroup.controllers").split():
        _write(f"{MOUNT_POINT}/cgroup.subtree_control", f"+{controller}")


def remove(
    chosen: list[Hierarchy], name: str, timeout: float = REMOVAL_TIMEOUT
) -> None:
    """Remove the cgroup `name` and all below it when its processes have ended.

    Raises `OSError` if a process has not ended after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    for hierarchy in chosen:
        top = f"{hierarchy.parent}/{name}"
        for directory, _, _ in os.walk(top, topdown=False):
            _remove_one(directory, deadline)


def sweep(chosen: list[Hierarchy]) -> None:
    """Remove the cgroups of guests whose supervisor was killed."""
    names = {
        name
        for hierarchy in chosen
        for name in os.listdir(hierarchy.parent)
        if name.startswith(PREFIX) and name != own_name()
    }
    for name in names:
        pid, _, started = name.removeprefix(PREFIX).partition("-")
        if _started(pid) == started:
            continue
        try:
            remove(chosen, name, timeout=0)
        except OSError:
            continue  # Its processes are still ending; the next sweep removes it.


def own_name() -> str:
    """Return the cgroup name of the guest that this process supervises."""
    pid = str(os.getpid())
    return f"{PREFIX}{pid}-{_started(pid)}"


def _started(pid: str) -> str | None:
    """Return the start of a process in ticks since boot; None if there is none."""
    try:
        stat = _read(f"/proc/{pid}/stat")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may hold spaces (man 5 proc_pid_stat, field 22).
    return stat.rpartition(")")[2].split()[19]


def _remove_one(directory: str, deadline: float) -> None:
    while True:
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            return
        except OSError:
            # EBUSY for a moment after the last process was reaped; v1 has no event
            # that tells when the cgroup is free.
            if time.monotonic() > deadline:
                raise
            time.sleep(0.002)
        else:
            return


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)
