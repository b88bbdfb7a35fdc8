# SPDX-License-Identifier: Apache-2.0
"""Settings of a process that need a privilege of the agent or a part of the kernel.

The host knows neither, and the runtime fails at the first setting that it cannot make.
So each is fitted to this guest, with a line in the log.
"""

from __future__ import annotations

import logging
from typing import Final

from kata_agent.descriptor_limit import inherited_limit
from kata_agent.linux.prctl import CAP_SYS_RESOURCE, effective_capabilities
from kata_agent.oci.capabilities import CAPABILITIES
from kata_agent.oci.spec import Spec
from kata_agent.system_paths import SystemPaths

log = logging.getLogger(__name__)

RLIMITS: Final = frozenset(
    f"RLIMIT_{name}"
    for name in (
        "CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING "
        "MSGQUEUE NICE RTPRIO RTTIME"
    ).split()
)
"""man 2 getrlimit"""
NOFILE: Final = "RLIMIT_NOFILE"
UNLIMITED: Final = (1 << 64) - 1
"""RLIM_INFINITY as an OCI spec has it, an unsigned number."""
APPARMOR: Final = "module/apparmor/parameters/enabled"
SELINUX: Final = "fs/selinux/enforce"


def fit_privileges(
    process: Spec, container_id: str, paths: SystemPaths, linux: Spec | None = None
) -> None:
    """Fit capabilities, limits, OOM score, profile and labels of a process.

    `linux` is that part of the spec of a new container, with the label of its mounts.
    May block.
    """
    held = effective_capabilities(paths.proc)
    _fit_capabilities(process, container_id, held)
    privileged = bool(held & 1 << CAP_SYS_RESOURCE)
    _fit_rlimits(process, container_id, paths, privileged=privileged)
    if not privileged:
        _raise_oom_score(process, container_id, paths)
    if "apparmorProfile" in process and not _has_apparmor(paths):
        profile = process.pop("apparmorProfile")
        log.info(
            "kernel without AppArmor, profile dropped",
            extra={"container_id": container_id, "profile": profile},
        )
    if not (paths.sys / SELINUX).exists():
        dropped = [process.pop("selinuxLabel", None)]
        if linux is not None:
            dropped.append(linux.pop("mountLabel", None))
        if labels := [label for label in dropped if label]:
            log.info(
                "kernel without SELinux, labels dropped",
                extra={"container_id": container_id, "labels": labels},
            )


def _fit_capabilities(process: Spec, container_id: str, held: int) -> None:
    """Leave out the capabilities that the agent does not hold, and so cannot give.

    A privileged container asks for all that the host's kernel has.
    """
    given = {name for number, name in enumerate(CAPABILITIES) if held & 1 << number}
    sets = process.get("capabilities", {})
    lost = {name for names in sets.values() for name in names if name not in given}
    for kind, names in sets.items():
        sets[kind] = [name for name in names if name in given]
    if lost:
        log.warning(
            "capabilities left out that the agent does not have",
            extra={"container_id": container_id, "capabilities": sorted(lost)},
        )


def _has_apparmor(paths: SystemPaths) -> bool:
    file = paths.sys / APPARMOR
    return file.exists() and file.read_text().strip() == "Y"


def _fit_rlimits(
    process: Spec, container_id: str, paths: SystemPaths, *, privileged: bool
) -> None:
    limits = process.get("rlimits", [])
    inherited = inherited_limit()
    if inherited and not any(limit["type"] == NOFILE for limit in limits):
        # Otherwise the process would inherit the agent's own.
        limits = [*limits, {"type": NOFILE, **inherited._asdict()}]
    unknown = [limit["type"] for limit in limits if limit["type"] not in RLIMITS]
    if unknown:
        log.warning(
            "unknown resource limits dropped",
            extra={"container_id": container_id, "limits": unknown},
        )
        limits = [limit for limit in limits if limit["type"] in RLIMITS]
    lowered = []
    for limit in limits:
        highest = [limit["hard"]]
        if limit["type"] == NOFILE:
            # The kernel refuses more, also for root (man 5 proc, /proc/sys/fs).
            highest.append(int((paths.proc / "sys/fs/nr_open").read_text()))
        if not privileged:
            highest.append(_own_hard_limit(limit["type"]))
        if min(highest) < limit["hard"]:
            lowered.append(limit["type"])
        limit["hard"] = min(highest)
        limit["soft"] = min(limit["soft"], limit["hard"])
    if limits:
        process["rlimits"] = limits
    elif unknown:
        del process["rlimits"]
    if lowered:
        log.warning(
            "resource limits lowered to those of the guest",
            extra={"container_id": container_id, "limits": lowered},
        )


def _own_hard_limit(kind: str) -> int:
    """Return the agent's hard limit, above which only CAP_SYS_RESOURCE sets one."""
    # Imported here, because a guest with a machine of its own has the capability.
    import resource

    # The module does not name the limit on locks, which Linux no longer has.
    number = getattr(resource, kind, None)
    hard = -1 if number is None else resource.getrlimit(number)[1]
    return UNLIMITED if hard == resource.RLIM_INFINITY else hard


def _raise_oom_score(process: Spec, container_id: str, paths: SystemPaths) -> None:
    """Raise the score to the agent's, below which only CAP_SYS_RESOURCE sets one."""
    score = process["oomScoreAdj"]
    own = int((paths.proc / "self/oom_score_adj").read_text())
    if score < own:
        process["oomScoreAdj"] = own
        log.warning(
            "OOM score raised to that of the agent, which may set no lower one",
            extra={"container_id": container_id, "score": score},
        )
