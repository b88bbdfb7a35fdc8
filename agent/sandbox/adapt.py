# SPDX-License-Identifier: Apache-2.0
"""The steps that turn a spec of the host into one that this guest can run.

Each step edits the spec in place and has a module or a function of its own; the
order matters only where a comment says so. `Devices.add` has edited the devices before.
"""

from __future__ import annotations

import logging
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from kata_agent.cgroup.supported_files import SupportedFiles
from kata_agent.container.bundle import check_rootfs
from kata_agent.container.hooks import merge_hooks
from kata_agent.device.rules import complete_rules, read_own_disks
from kata_agent.oci.annotations import drop_runtime_annotations
from kata_agent.oci.container_root import ContainerRoot
from kata_agent.oci.mounts import add_essential_mounts, keep_mount_flags
from kata_agent.oci.privileges import fit_privileges
from kata_agent.oci.process import Requested, inherit
from kata_agent.oci.resources import (
    can_filter_devices,
    drop_mknod,
    fit_resources,
    forbid_device_nodes,
    pop_unlimited,
)
from kata_agent.oci.spec import Spec
from kata_agent.oci.sysctl import split_network, write_network
from kata_agent.oci.user import apply_user
from kata_agent.sandbox.namespaces import PidNamespace, SandboxNamespaces
from kata_agent.system_paths import SystemPaths
from kata_protos import agent_pb2

log = logging.getLogger(__name__)


class Preparation(NamedTuple):
    """The container and the guest, as far as the steps need them."""

    container_id: str
    cgroup_path: PurePosixPath
    string_user: agent_pb2.StringUser
    hook_output: Path
    pid: PidNamespace
    cgroup_files: SupportedFiles
    """The limits that the guest's cgroups have."""
    namespaces: SandboxNamespaces
    guest_hooks: Spec
    paths: SystemPaths


def prepare_spec(spec: Spec, given: Preparation) -> None:
    """Do all steps for a new container. May block.

    Raises `AgentError` for a spec that this guest cannot run.
    """
    paths = given.paths
    # First, because `merge_hooks` sets annotations of this kind.
    drop_runtime_annotations(spec)
    complete_rules(spec, read_own_disks(paths))
    check_rootfs(given.container_id, spec["root"]["path"])
    process = spec["process"]
    files = given.cgroup_files
    given.namespaces.apply(spec, pid=given.pid, unified=files.unified)
    spec["linux"]["cgroupsPath"] = str(given.cgroup_path)
    add_essential_mounts(spec)
    keep_mount_flags(spec)
    fit_privileges(process, given.container_id, paths, spec["linux"])
    root = ContainerRoot(spec["root"]["path"], spec["mounts"])
    apply_user(process, given.string_user, root)
    fit_resources(spec["linux"]["resources"], paths, files)
    pop_unlimited(spec["linux"]["resources"])
    if not can_filter_devices(paths, unified=files.unified):
        log.warning(
            "no device filter without CAP_SYS_RESOURCE, device nodes forbidden",
            extra={"container_id": given.container_id},
        )
        forbid_device_nodes(spec)
    merge_hooks(spec, given.guest_hooks, given.hook_output)
    write_network(split_network(spec), paths.proc)


class ExecTarget(NamedTuple):
    """A running container, as far as the steps for its execs need it."""

    id: str
    init: Spec
    """The process of its spec."""
    requested: Requested
    root: Path
    """The link to the root directory of its init, below `/proc`."""


def prepare_exec(
    process: Spec,
    container: ExecTarget,
    *,
    string_user: agent_pb2.StringUser,
    cgroup_files: SupportedFiles,
    paths: SystemPaths,
) -> None:
    """Do all steps for another process of a container. May block.

    Raises `InvalidArgument` for a user that the container does not have, and
    `InvalidState` if the container has ended.
    """
    names_user = bool(string_user.uid)
    inherit(process, container.init, container.requested, names_user=names_user)
    fit_privileges(process, container.id, paths)
    apply_user(process, string_user, ContainerRoot(str(container.root)))
    if not can_filter_devices(paths, unified=cgroup_files.unified):
        drop_mknod(process)
