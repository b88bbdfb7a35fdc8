# SPDX-License-Identifier: Apache-2.0
"""From a forked child of the supervisor to the agent as PID 1 of a local guest.

The code in this module runs between fork and exec, so it only makes system calls. The
agent's changes to the system end with its namespaces. The clock, kernel modules and
rebooting have no namespace, so the agent loses the capabilities for them; sysfs is
read-only.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
from typing import Final, NamedTuple, NoReturn

from kata_host.guest import local_cgroup
from kata_host.guest.local_settings import LocalSettings
from kata_host.guest.local_syscall import (
    CAP_SYS_BOOT,
    CAP_SYS_MODULE,
    CAP_SYS_TIME,
    CLONE_NEWCGROUP,
    CLONE_NEWIPC,
    CLONE_NEWNET,
    CLONE_NEWNS,
    CLONE_NEWUTS,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_RDONLY,
    MS_REMOUNT,
    PR_CAPBSET_DROP,
    PR_SET_PDEATHSIG,
    clone_tree,
    detach,
    mount,
    mount_tree,
    prctl,
    unshare,
)

HOSTNAME: Final = "local-guest"
SIGKILL: Final = 9
# linux/sockios.h, linux/if.h
SIOCSIFFLAGS: Final = 0x8914
IFF_UP: Final = 0x1
IFREQ: Final = struct.Struct("16sh22x")

_NAMESPACES: Final = (
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET
)


class Plan(NamedTuple):
    """The guest that the child becomes."""

    settings: LocalSettings
    hierarchies: list[local_cgroup.Hierarchy]
    cgroup: str
    """The name of the guest's cgroup in each hierarchy."""
    console: int
    """Descriptor for the agent's standard output and error."""
    supervisor: int
    """Read end of a pipe whose write end only the supervisor holds."""


def become_agent(plan: Plan) -> NoReturn:
    """Turn the caller, PID 1 of a new pid namespace, into the agent of a guest.

    Raises `OSError` if a step fails.
    """
    # The kernel kills the whole guest when the supervisor ends in any way.
    prctl(PR_SET_PDEATHSIG, SIGKILL)
    # The supervisor may have ended before prctl: then the pipe is at its end.
    if select.select([plan.supervisor], [], [], 0)[0]:
        raise ProcessLookupError("local guest: supervisor has ended")
    local_cgroup.enter(plan.hierarchies, plan.cgroup)
    # After the move, because a cgroup namespace is rooted at its creator's cgroup.
    unshare(_NAMESPACES)
    socket.sethostname(HOSTNAME)
    _bring_up_loopback()
    _mount_private_trees(plan)
    for capability in (CAP_SYS_TIME, CAP_SYS_MODULE, CAP_SYS_BOOT):
        prctl(PR_CAPBSET_DROP, capability)
    null = os.open("/dev/null", os.O_RDONLY)
    for source, target in ((null, 0), (plan.console, 1), (plan.console, 2)):
        os.dup2(source, target)
    os.chdir("/")
    command = plan.settings.command
    os.execvpe(command[0], command, plan.settings.environment)


def _mount_private_trees(plan: Plan) -> None:
    # Copied now, because nothing can be bound from a mount once it is detached.
    shared = [
        (path, clone_tree(path))
        for path in map(
            os.path.realpath, [plan.settings.directory, *plan.settings.shared]
        )
        if path.startswith(("/run/", "/dev/shm/"))
    ]
    cmdline = clone_tree(plan.settings.cmdline)
    # Unmounted, because mountinfo would still list a mount that is only covered.
    for path in ("/proc", "/sys", "/run", "/dev/shm"):
        detach(path)
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    mount_tree(cmdline, "/proc/cmdline")
    # A new sysfs shows the devices of the new network namespace. Only the mount is made
    # read-only, and not the superblock, which containers on the same network share.
    mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    read_only = MS_REMOUNT | MS_BIND | MS_RDONLY
    mount("", "/sys", "", read_only | MS_NOSUID | MS_NODEV | MS_NOEXEC)
    local_cgroup.mount_hierarchies(plan.hierarchies)
    if plan.hierarchies[0].is_v2:
        local_cgroup.delegate()
    mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    for path, tree in shared:
        os.makedirs(path, exist_ok=True)
        mount_tree(tree, path)


def _bring_up_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as query:
        fcntl.ioctl(query, SIOCSIFFLAGS, IFREQ.pack(b"lo", IFF_UP))
