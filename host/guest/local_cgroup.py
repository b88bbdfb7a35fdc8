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

import errno
import os
import time
from typing import Final, NamedTuple

from kata_host.guest import local_cgroup_tree
from kata_host.guest.local_syscall import MS_NODEV, MS_NOEXEC, MS_NOSUID, detach, mount

MOUNT_POINT: Final = "/sys/fs/cgroup"
PREFIX: Final = "kata-local-"
REMOVAL_TIMEOUT: Final = 5.0
"""Seconds for the processes of a cgroup to end."""
SHORTEST_LIFE: Final = 0.02
"""Seconds after which a process that shows no sign of its kill was not killed."""

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


def other_version(chosen: list[Hierarchy]) -> list[Hierarchy]:
    """Return the hierarchies of the version that is not `chosen`; empty without it."""
    try:
        return hierarchies("v1" if chosen[0].is_v2 else "v2")
    except ValueError:
        return []


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


def thaw(chosen: list[Hierarchy], name: str) -> None:
    """Let every process go on in the cgroup `name` and below. Raises `OSError`."""
    for hierarchy in chosen:
        # In version 2 a frozen process can be killed.
        if "freezer" in hierarchy.controllers.split(","):
            local_cgroup_tree.thaw(f"{hierarchy.parent}/{name}")


def remove(
    chosen: list[Hierarchy], name: str, timeout: float = REMOVAL_TIMEOUT
) -> None:
    """Remove the cgroup `name` and all below it when its processes have ended.

    Raises `OSError` if a process has not ended after `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not _removed(chosen, name):
        if time.monotonic() > deadline:
            raise OSError(errno.EBUSY, f"cgroup {name!r}: its processes do not end")
        # Right after the last process was reaped, the cgroup is still busy; v1 has no
        # event that tells when it is free.
        time.sleep(0.002)


def _removed(chosen: list[Hierarchy], name: str) -> bool:
    tops = [f"{hierarchy.parent}/{name}" for hierarchy in chosen]
    return all([local_cgroup_tree.remove(top) for top in tops])


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
        if _started(pid) != started:
            _end(chosen, name)


def _end(chosen: list[Hierarchy], name: str) -> None:
    """Wait for the processes that the kernel has killed, thaw them, remove the cgroup.

    A supervisor of another pid namespace counts as killed, but its guest's processes
    live: they and their cgroups are left alone.
    """
    tops = [f"{hierarchy.parent}/{name}" for hierarchy in chosen]
    now = time.monotonic()
    deadline, patience = now + REMOVAL_TIMEOUT, now + SHORTEST_LIFE
    while now < deadline:
        endings = [ending for top in tops for ending in local_cgroup_tree.endings(top)]
        if all(endings):
            # No process is left to make or freeze a cgroup.
            thaw(chosen, name)
            if _removed(chosen, name):
                return
        elif not any(endings) and now > patience:
            return
        time.sleep(0.002)
        now = time.monotonic()


def own_name() -> str:
    """Return the cgroup name of the guest that this process supervises."""
    pid = str(os.getpid())
    return f"{PREFIX}{pid}-{_started(pid)}"


def _started(pid: str) -> str | None:
    """Return the start of a process in ticks since boot; None if it has ended."""
    try:
        stat = _read(f"/proc/{pid}/stat")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name in parentheses may hold spaces (man 5 proc_pid_stat, fields 3 and 22).
    fields = stat.rpartition(")")[2].split()
    is_zombie = fields[0] in "ZX"
    return None if is_zombie else fields[19]


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)
