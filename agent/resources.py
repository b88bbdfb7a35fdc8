# SPDX-License-Identifier: Apache-2.0
"""Resources that this guest can give: what the OCI runtime is asked to set.

The host writes them for a machine it imagines; what the kernel here does not
know is left out with a line in the log, where the original agents do the same.
"""

from __future__ import annotations

import logging
import re
from typing import Final

from agent.cpuset import clamp_cpuset
from agent.linux.prctl import CAP_SYS_RESOURCE, has_capability
from agent.paths import SystemPaths
from agent.spec import Spec

log = logging.getLogger(__name__)

_VERSION_1_MEMORY: Final = ("kernel", "kernelTCP", "swappiness", "disableOOMKiller")
_UNITS: Final = {"KB": 1, "MB": 1 << 10, "GB": 1 << 20}


def fit_resources(resources: Spec, paths: SystemPaths, *, unified: bool) -> None:
    """Edit OCI resources in place. May block."""
    clamp_cpuset(resources, paths.sys)
    _fit_hugepages(resources, paths)
    if unified:
        memory = resources.get("memory", {})
        for name in _VERSION_1_MEMORY:
            if memory.pop(name, None) is not None:
                log.info("not in cgroup version 2", extra={"resource": name})
        if not memory:
            resources.pop("memory", None)


def _fit_hugepages(resources: Spec, paths: SystemPaths) -> None:
    limits = []
    for limit in resources.pop("hugepageLimits", []):
        size = re.fullmatch(r"([0-9]+)([KMG]B)", limit["pageSize"])
        kilobytes = int(size[1]) * _UNITS[size[2]] if size else 0
        if (paths.sys / f"kernel/mm/hugepages/hugepages-{kilobytes}kB").exists():
            limits.append(limit)
        else:
            log.warning("no such huge pages", extra={"size": limit["pageSize"]})
    if limits:
        resources["hugepageLimits"] = limits


def can_filter_devices(paths: SystemPaths, *, unified: bool) -> bool:
    """Whether the runtime is able to install device rules.

    In version 2 they are an eBPF program, and crun raises RLIMIT_MEMLOCK before
    it loads one, which takes CAP_SYS_RESOURCE. A VM guest has it; a local guest
    on a machine that withholds it has not.
    """
    return not unified or has_capability(CAP_SYS_RESOURCE, paths.proc)


def forbid_device_nodes(spec: Spec) -> None:
    """Do without device rules: take away the right to make nodes instead.

    The container then opens only the nodes that it was given.
    """
    spec["linux"]["resources"].pop("devices", None)
    take_mknod(spec["process"])


def take_mknod(process: Spec) -> None:
    """Remove CAP_MKNOD from a process's capabilities."""
    sets = process.get("capabilities", {})
    for kind, names in sets.items():
        sets[kind] = [name for name in names if name != "CAP_MKNOD"]


def merge_resources(into: Spec, update: Spec) -> None:
    """Remember an update: what it does not name stays."""
    for name, value in update.items():
        if isinstance(value, dict):
            into.setdefault(name, {}).update(value)
        else:
            into[name] = value
