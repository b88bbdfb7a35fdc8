# SPDX-License-Identifier: Apache-2.0
"""What a spec from the host must become to run in this guest.

Each step edits the spec in place and has a module or a function of its own; the
order matters only where a comment says so. The devices' part of the spec has
been done before, by `Devices.add`.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from kata_agent.cgroup.supported import ChildFiles
from kata_agent.container.bundle import check_rootfs
from kata_agent.container.hooks import merge_hooks
from kata_agent.oci.convert import Spec
from kata_agent.oci.resources import (
    can_filter_devices,
    fit_resources,
    forbid_device_nodes,
    pop_unlimited,
)
from kata_agent.oci.sysctl import split_network, write_network
from kata_agent.oci.user import apply_user
from kata_agent.sandbox.namespace import SandboxNamespaces
from kata_agent.system_paths import SystemPaths
from kata_protos import agent_pb2

log = logging.getLogger(__name__)

RLIMITS: Final = frozenset(
    f"RLIMIT_{name}"
    for name in (
        "CPU FSIZE DATA STACK CORE RSS NPROC NOFILE MEMLOCK AS LOCKS SIGPENDING "
        "MSGQUEUE NICE RTPRIO RTTIME"
    ).split()
)
"""man 2 getrlimit"""
RUNTIME_ANNOTATIONS: Final = ("run.oci.", "module.wasm.", "org.criu.", "org.systemd.")
"""Prefixes of the annotations that crun (crun(1), "run.oci") and runc act on."""
APPARMOR: Final = "module/apparmor/parameters/enabled"


@dataclass(frozen=True, slots=True)
class Preparation:
    """What the steps need to know of the container and the guest."""

    container_id: str
    cgroup_path: PurePosixPath
    string_user: agent_pb2.StringUser
    hook_output: Path
    pid: str
    """The pid namespace: `own`, `shared` or `agent`."""
    cgroup_files: ChildFiles
    """What the guest's cgroups can limit."""


def prepare(
    spec: Spec,
    wanted: Preparation,
    *,
    namespaces: SandboxNamespaces,
    guest_hooks: Spec,
    paths: SystemPaths,
) -> None:
    """Do all the steps. May block. Raises `AgentError` for what cannot be done."""
    # First, because `merge_hooks` sets annotations of this kind.
    drop_runtime_annotations(spec)
    check_rootfs(wanted.container_id, spec["root"]["path"])
    process = spec["process"]
    files = wanted.cgroup_files
    namespaces.apply(spec, pid=wanted.pid, unified=files.unified)
    spec["linux"]["cgroupsPath"] = str(wanted.cgroup_path)
    add_essential_mounts(spec)
    keep_mount_flags(spec)
    fit_process(process, wanted.container_id, paths)
    apply_user(process, wanted.string_user, spec["root"]["path"])
    fit_resources(spec["linux"]["resources"], paths, files)
    pop_unlimited(spec["linux"]["resources"])
    if not can_filter_devices(paths, unified=files.unified):
        log.warning(
            "no device filter without CAP_SYS_RESOURCE: container cannot make nodes",
            extra={"container_id": wanted.container_id},
        )
        forbid_device_nodes(spec)
    merge_hooks(spec, guest_hooks, wanted.hook_output)
    write_network(split_network(spec), paths.proc)


_DEV: Final = {
    "destination": "/dev",
    "type": "tmpfs",
    "source": "tmpfs",
    "options": ["nosuid", "strictatime", "mode=755", "size=65536k"],
}
_PTS: Final = {
    "destination": "/dev/pts",
    "type": "devpts",
    "source": "devpts",
    "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
}
_PROC: Final = {
    "destination": "/proc",
    "type": "proc",
    "source": "proc",
    "options": ["nosuid", "noexec", "nodev"],
}


def add_essential_mounts(spec: Spec) -> None:
    """Guarantee /proc and a /dev that is not the image's.

    The runtime makes device nodes below /dev and opens files below /proc. On the
    container's own file system it would follow what the image put there.
    """
    mounts = spec["mounts"]
    destinations = {_normal(mount["destination"]) for mount in mounts}
    if "/dev" not in destinations:
        # Before whatever is mounted below it.
        added = [_DEV] if "/dev/pts" in destinations else [_DEV, _PTS]
        mounts[:0] = [dict(mount) for mount in added]
    if "/proc" not in destinations:
        mounts.insert(0, dict(_PROC))


def drop_runtime_annotations(spec: Spec) -> None:
    """Remove the annotations that change how the OCI runtime works.

    The users of a cluster set annotations on their containers. With these they would
    replace the seccomp filter (`run.oci.seccomp_bpf_data`), choose another handler
    (`run.oci.handler`) or write to files of the guest (`run.oci.hooks.stdout`).
    """
    annotations = spec.get("annotations", {})
    for name in list(annotations):
        if name.startswith(RUNTIME_ANNOTATIONS):
            log.warning("annotation dropped", extra={"annotation": name})
            del annotations[name]


def _normal(path: str) -> str:
    return str(PurePosixPath(path))


_KEPT: Final = {
    os.ST_RDONLY: "ro",
    os.ST_NOSUID: "nosuid",
    os.ST_NODEV: "nodev",
    os.ST_NOEXEC: "noexec",
}


def keep_mount_flags(spec: Spec) -> None:
    """Forbid in each bind mount what is forbidden where it comes from.

    The kernel keeps these flags in a bind mount, but the runtime sets all of them
    anew: a volume that the host mounted `nosuid` would lose that. May block.
    """
    for mount in spec["mounts"]:
        options = mount.get("options", [])
        if mount.get("type") != "bind" and not {"bind", "rbind"} & set(options):
            continue
        try:
            present = os.statvfs(mount["source"]).f_flag
        except OSError:
            # The runtime says what is wrong with it.
            continue
        kept = [option for flag, option in _KEPT.items() if present & flag]
        # The last one wins.
        mount["options"] = [*options, *kept]


def fit_process(process: Spec, container_id: str, paths: SystemPaths) -> None:
    """Drop what this kernel does not have and the runtime would fail at."""
    limits = process.get("rlimits", [])
    unknown = [limit["type"] for limit in limits if limit["type"] not in RLIMITS]
    if unknown:
        log.warning(
            "unknown resource limits dropped",
            extra={"container_id": container_id, "limits": unknown},
        )
        process["rlimits"] = [limit for limit in limits if limit["type"] in RLIMITS]
    if "apparmorProfile" in process and not _has_apparmor(paths):
        del process["apparmorProfile"]
        log.info("guest without AppArmor", extra={"container_id": container_id})


INHERITED: Final = ("capabilities", "rlimits", "apparmorProfile", "selinuxLabel")
"""What an exec has from its container unless it says otherwise."""


def inherit(process: Spec, init: Spec) -> None:
    """Give an exec what runtimes leave out and mean to be the container's."""
    for name in INHERITED:
        if name in init:
            process.setdefault(name, init[name])
    process["noNewPrivileges"] |= init["noNewPrivileges"]
    # Zero is what is sent for nothing (`kata_agent.oci`).
    process["oomScoreAdj"] = process["oomScoreAdj"] or init["oomScoreAdj"]


def _has_apparmor(paths: SystemPaths) -> bool:
    file = paths.sys / APPARMOR
    return file.exists() and file.read_text().strip() == "Y"
