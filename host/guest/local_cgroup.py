# SPDX-License-Identifier: Apache-2.0
"""The cgroups of a local guest: exactly one version, in child cgroups of its own.

A guest must see the tree of one version only (crun refuses a mixture), while the
host may well have both. So the supervisor mounts the wanted version in a mount
namespace of its own, makes a child cgroup in each hierarchy, and the guest, in a
cgroup namespace rooted there, mounts the same again: for it, its cgroup is `/`.

v1: a child of the caller's own cgroup in every hierarchy, so that the limits on
the caller hold for the guest. v2: a child of the root, since the caller's cgroup
holds processes and so cannot give controllers to children (cgroups(7), "no
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

_FLAGS: Final = MS_NOSUID | MS_NODEV | MS_NOEXEC
_LEAF: Final = "init"
"""Where a v2 guest keeps its agent: the guest's root cgroup must stay empty."""


class Hierarchy(NamedTuple):
    """A mounted tree of cgroups and the caller's place in it."""

    controllers: str
    """As /proc/self/cgroup has them: `cpu,cpuacct`, `name=systemd`, `` for v2."""
    own: str
    """The caller's cgroup: `/`, `/user.slice/...`."""

    @property
    def is_v2(self) -> bool:
        return not self.controllers

    @property
    def mount_point(self) -> str:
        name = self.controllers.removeprefix("name=")
        return f"{MOUNT_POINT}/{name}" if name else MOUNT_POINT

    @property
    def parent(self) -> str:
        """The directory in which guests get their cgroups."""
        own = "" if self.is_v2 or self.own == "/" else self.own
        return self.mount_point + own


def hierarchies(version: str = "auto", table: str | None = None) -> list[Hierarchy]:
    """Return the hierarchies for cgroup `version`: `v1`, `v2` or `auto`.

    `auto` is v1 where the host has controllers there (then v2 lacks them), and
    v2 otherwise. `table` is a /proc/self/cgroup. Raises `ValueError` when the host
    has no such hierarchy.
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
        raise ValueError(f"cgroup version '{version}': not v1, v2 or auto")
    if not chosen:
        raise ValueError(f"cgroup version '{version}': not on this host")
    return chosen


def mount_hierarchies(chosen: list[Hierarchy]) -> None:
    """Mount them, and nothing else, at /sys/fs/cgroup of this mount namespace."""
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
    """Make the cgroup `name` in every hierarchy."""
    for hierarchy in chosen:
        directory = f"{hierarchy.parent}/{name}"
        os.mkdir(directory)
        if "cpuset" in hierarchy.controllers.split(","):
            # A new v1 cpuset is empty, and no process may enter it like that.
            for file in ("cpuset.cpus", "cpuset.mems"):
                _write(f"{directory}/{file}", _read(f"{hierarchy.parent}/{file}"))


def enter(chosen: list[Hierarchy], name: str) -> None:
    """Move the caller into the cgroup `name` of every hierarchy."""
    for hierarchy in chosen:
        _write(f"{hierarchy.parent}/{name}/cgroup.procs", "0")


def delegate() -> None:
    """Let the cgroups of a v2 guest have controllers; call inside its namespace."""
    os.mkdir(f"{MOUNT_POINT}/{_LEAF}")
    _write(f"{MOUNT_POINT}/{_LEAF}/cgroup.procs", "0")
    for controller in _read(f"{MOUNT_POINT}/cgroup.controllers").split():
        _write(f"{MOUNT_POINT}/cgroup.subtree_control", f"+{controller}")


def remove(
    chosen: list[Hierarchy], name: str, timeout: float = REMOVAL_TIMEOUT
) -> None:
    """Remove the cgroup `name` and all below it, once its processes have ended.

    Raises `OSError` when some process does not end in time.
    """
    deadline = time.monotonic() + timeout
    for hierarchy in chosen:
        top = f"{hierarchy.parent}/{name}"
        for directory, _, _ in os.walk(top, topdown=False):
            _remove_one(directory, deadline)


def sweep(chosen: list[Hierarchy]) -> None:
    """Remove what guests have left whose supervisor was killed."""
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
            continue  # Its processes are still ending: the next sweep has it.


def own_name() -> str:
    """Return the cgroup name of a guest that this process supervises."""
    pid = str(os.getpid())
    return f"{PREFIX}{pid}-{_started(pid)}"


def _started(pid: str) -> str | None:
    """Return when the process started, in ticks since boot; None: there is none."""
    try:
        stat = _read(f"/proc/{pid}/stat")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name, in parentheses, may hold spaces: proc_pid_stat(5), field 22.
    return stat.rpartition(")")[2].split()[19]


def _remove_one(directory: str, deadline: float) -> None:
    while True:
        try:
            os.rmdir(directory)
        except FileNotFoundError:
            return
        except OSError:
            # EBUSY for a moment after the last process was reaped; v1 has no
            # event for it.
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
