# SPDX-License-Identifier: Apache-2.0
"""The limits and the identity of the first process of a machine, for a local guest.

Only what bounds the use of the host stays as it is: the cgroups, the priority and the
CPUs of the program that starts the guest.
"""

from __future__ import annotations

import contextlib
import os
import resource
from typing import Final

from kata_host.guest.local_syscall import personality

OOM_SCORE: Final = "0"
NOFILE: Final = 524288
"""Open files, as systemd gives a service (man 5 systemd.exec, LimitNOFILE)."""

_UNLIMITED: Final = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
LIMITS: Final = {
    resource.RLIMIT_AS: _UNLIMITED,
    resource.RLIMIT_CORE: (0, resource.RLIM_INFINITY),
    resource.RLIMIT_CPU: _UNLIMITED,
    resource.RLIMIT_DATA: _UNLIMITED,
    resource.RLIMIT_FSIZE: _UNLIMITED,
    resource.RLIMIT_MEMLOCK: (8 << 20, 8 << 20),
    resource.RLIMIT_MSGQUEUE: (819200, 819200),
    resource.RLIMIT_NICE: (0, 0),
    resource.RLIMIT_NOFILE: (NOFILE, NOFILE),
    resource.RLIMIT_RSS: _UNLIMITED,
    resource.RLIMIT_RTPRIO: (0, 0),
    resource.RLIMIT_RTTIME: _UNLIMITED,
    resource.RLIMIT_STACK: (8 << 20, resource.RLIM_INFINITY),
}
"""Limits of the first process of a machine (Linux, include/asm-generic/resource.h); the
kernel computes those of processes and signals from the machine's memory."""


def become_first_process() -> None:
    """Take on limits and identity that the first process of a machine has."""
    for kind, limits in LIMITS.items():
        _set_limit(kind, limits)
    # Only a process with CAP_SYS_RESOURCE may go below the lowest score that it had,
    # and some user namespaces do not allow a change of groups.
    with contextlib.suppress(PermissionError):
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write(OOM_SCORE)
    with contextlib.suppress(PermissionError):
        os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    personality(0)


def _set_limit(kind: int, limits: tuple[int, int]) -> None:
    try:
        resource.setrlimit(kind, limits)
    except ValueError:
        # Only a process with CAP_SYS_RESOURCE may raise a hard limit.
        _, most = resource.getrlimit(kind)
        resource.setrlimit(kind, (_least(limits[0], most), _least(limits[1], most)))


def _least(limit: int, most: int) -> int:
    """Return the lower one; infinity is -1."""
    if most == resource.RLIM_INFINITY:
        return limit
    return most if limit == resource.RLIM_INFINITY else min(limit, most)
