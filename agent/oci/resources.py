# SPDX-License-Identifier: Apache-2.0
"""The limits of a container, fitted to those that this guest's kernel supports.

The host does not know the guest's kernel, and the runtime fails at the first limit that
the kernel does not support. Kata's agents leave such limits out with a line in the log,
and so does this one.
"""

from __future__ import annotations

import logging
import re
from typing import Final, NamedTuple

from kata_agent.cgroup.supported_files import SupportedFiles
from kata_agent.linux.prctl import CAP_SYS_RESOURCE, has_capability
from kata_agent.oci.cpuset import clamp_cpuset
from kata_agent.oci.spec import Spec
from kata_agent.system_paths import SystemPaths

log = logging.getLogger(__name__)

_UNITS: Final = {"KB": 1, "MB": 1 << 10, "GB": 1 << 20}


class Limit(NamedTuple):
    """A limit and its cgroup files: it is supported if one of them exists."""

    part: str
    name: str
    version_1: tuple[str, ...] = ()
    version_2: tuple[str, ...] = ()
    """Empty if the runtime refuses the limit, or if v2 has no such limit."""


LIMITS: Final = (
    Limit("memory", "limit", ("memory/memory.limit_in_bytes",), ("memory.max",)),
    Limit(
        "memory", "reservation", ("memory/memory.soft_limit_in_bytes",), ("memory.low",)
    ),
    Limit(
        "memory", "swap", ("memory/memory.memsw.limit_in_bytes",), ("memory.swap.max",)
    ),
    # No file: writing memory.kmem.limit_in_bytes fails since Linux 5.16.
    Limit("memory", "kernel"),
    Limit("memory", "kernelTCP", ("memory/memory.kmem.tcp.limit_in_bytes",)),
    Limit("memory", "swappiness", ("memory/memory.swappiness",)),
    Limit("memory", "disableOOMKiller", ("memory/memory.oom_control",)),
    Limit("cpu", "shares", ("cpu/cpu.shares",), ("cpu.weight",)),
    Limit("cpu", "quota", ("cpu/cpu.cfs_quota_us",), ("cpu.max",)),
    Limit("cpu", "period", ("cpu/cpu.cfs_period_us",), ("cpu.max",)),
    # No files: a cgroup needs a budget in each one above it, and new ones have none
    # (kernel, scheduler/sched-rt-group.rst).
    Limit("cpu", "realtimeRuntime"),
    Limit("cpu", "realtimePeriod"),
    Limit("cpu", "cpus", ("cpuset/cpuset.cpus",), ("cpuset.cpus",)),
    Limit("cpu", "mems", ("cpuset/cpuset.mems",), ("cpuset.mems",)),
    Limit("pids", "limit", ("pids/pids.max",), ("pids.max",)),
    Limit(
        "blockIO",
        "weight",
        # crun 1.8 does not know blkio.bfq.weight.
        ("blkio/blkio.weight",),
        ("io.weight", "io.bfq.weight"),
    ),
    Limit("blockIO", "leafWeight", ("blkio/blkio.leaf_weight",)),
    Limit(
        "blockIO",
        "weightDevice",
        ("blkio/blkio.weight_device",),
        ("io.weight", "io.bfq.weight"),
    ),
    *(
        Limit("blockIO", name, (f"blkio/blkio.throttle.{file}",), ("io.max",))
        for name, file in (
            ("throttleReadBpsDevice", "read_bps_device"),
            ("throttleWriteBpsDevice", "write_bps_device"),
            ("throttleReadIOPSDevice", "read_iops_device"),
            ("throttleWriteIOPSDevice", "write_iops_device"),
        )
    ),
    Limit("network", "classID", ("net_cls/net_cls.classid",)),
    Limit("network", "priorities", ("net_prio/net_prio.ifpriomap",)),
)


def fit_resources(resources: Spec, paths: SystemPaths, files: SupportedFiles) -> None:
    """Remove limits that the guest does not support from OCI resources. May block."""
    clamp_cpuset(resources, paths.sys)
    for limit in LIMITS:
        part = resources.get(limit.part, {})
        if limit.name not in part:
            continue
        needed = limit.version_2 if files.unified else limit.version_1
        if not any(map(files.has, needed)):
            _leave_out(f"{limit.part}.{limit.name}")
            del part[limit.name]
            if not part:
                del resources[limit.part]
    _fit_hugepages(resources, paths, files)


def _leave_out(name: str) -> None:
    log.warning("resource not supported, left out", extra={"resource": name})


def _fit_hugepages(resources: Spec, paths: SystemPaths, files: SupportedFiles) -> None:
    limits = []
    for limit in resources.pop("hugepageLimits", []):
        size = limit["pageSize"]
        match = re.fullmatch(r"([0-9]+)([KMG]B)", size)
        kilobytes = int(match[1]) * _UNITS[match[2]] if match else 0
        pages = paths.sys / f"kernel/mm/hugepages/hugepages-{kilobytes}kB"
        file = (
            f"hugetlb.{size}.max"
            if files.unified
            else f"hugetlb/hugetlb.{size}.limit_in_bytes"
        )
        if pages.exists() and files.has(file):
            limits.append(limit)
        else:
            _leave_out(f"hugepageLimits.{size}")
    if limits:
        resources["hugepageLimits"] = limits


UNLIMITED: Final = -1
"""The number that the runtime-spec has for "no limit"."""
LIFTABLE: Final = (
    # The sum of memory and swap first, because the kernel requires it to be the larger.
    "memory.swap",
    "memory.limit",
    "memory.reservation",
    "cpu.quota",
    "pids.limit",
)
"""Limits for which a negative number means none (runtime-spec, config-linux.md)."""


def pop_unlimited(resources: Spec) -> list[str]:
    """Remove limits with a negative number, which means none, and return their names.

    crun 1.8 passes some of the negative numbers on to the kernel, which refuses them.
    In a new cgroup they can be left out, because it has no limits.
    """
    lifted = []
    for limit in LIFTABLE:
        part, _, name = limit.partition(".")
        if resources.get(part, {}).get(name, 0) < 0:
            lifted.append(limit)
            del resources[part][name]
            if not resources[part]:
                del resources[part]
    if "memory.limit" in lifted and "memory.swap" not in lifted:
        lifted.insert(0, "memory.swap")
    return lifted


def can_filter_devices(paths: SystemPaths, *, unified: bool) -> bool:
    """Return whether the runtime is able to install device rules.

    In cgroup v2 the rules are an eBPF program, and crun raises RLIMIT_MEMLOCK before it
    loads one, which needs CAP_SYS_RESOURCE. A VM guest has that capability; a local
    guest does not if the machine withholds it.
    """
    return not unified or has_capability(CAP_SYS_RESOURCE, paths.proc)


def forbid_device_nodes(spec: Spec) -> None:
    """Replace the device rules by forbidding the container to make nodes.

    The container can then only open the nodes that the runtime has made.
    """
    spec["linux"]["resources"].pop("devices", None)
    drop_mknod(spec["process"])


def drop_mknod(process: Spec) -> None:
    """Remove CAP_MKNOD from a process's capabilities."""
    sets = process.get("capabilities", {})
    for kind, names in sets.items():
        sets[kind] = [name for name in names if name != "CAP_MKNOD"]


def merge_resources(into: Spec, update: Spec) -> None:
    """Merge `update` into the resources `into`; fields that it does not have stay."""
    for name, value in update.items():
        if isinstance(value, dict):
            into.setdefault(name, {}).update(value)
        else:
            into[name] = value
