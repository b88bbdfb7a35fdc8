# SPDX-License-Identifier: Apache-2.0
"""From the wire's OCI messages to the OCI runtime's JSON.

A field of a message that is zero or empty is left out where the OCI specification
says *optional* (`kata_agent.oci.presence`). The only exception is `oomScoreAdj`: zero
is the sensible setting, and without it the container would inherit the agent's own
protection.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kata_agent.errors import InvalidArgument
from kata_agent.oci.capabilities import capabilities_to_oci
from kata_agent.oci.convert_resources import resources_to_oci
from kata_agent.oci.convert_seccomp import seccomp_to_oci
from kata_agent.oci.nul import refuse_nul
from kata_agent.oci.presence import only_set, only_set_or_none, without_none
from kata_agent.oci.spec import Spec
from kata_protos import oci_pb2

OCI_VERSION: Final = "1.0.2"
"""The version that each bundle says. The request's own (1.2 and 1.3 with containerd 2)
would change nothing in the spec, but crun before 1.14.2 refuses any over 1.1."""
PERMISSIONS: Final = 0o7777
"""The bits of a mode that do not say the type of a file (man 7 inode)."""
LOWEST_OOM_SCORE: Final = -1000
HIGHEST_OOM_SCORE: Final = 1000
"""man 5 proc, `oom_score_adj`"""
NAMESPACES: Final = {"mnt": "mount", "net": "network"}
"""Kinds of namespaces that runtime-rs calls as `/proc/self/ns` does (man 7 namespaces),
and their names in an OCI spec."""


def to_oci(message: oci_pb2.Spec) -> Spec:
    """Return the whole spec.

    Raises `InvalidArgument` if a needed part is missing or has an invalid value.
    """
    for part in ("Process", "Root", "Linux"):
        if not message.HasField(part):
            raise InvalidArgument(f"spec: no {part.lower()}")
    spec = without_none(
        {
            "ociVersion": OCI_VERSION,
            "process": process_to_oci(message.Process),
            "root": {"path": message.Root.Path, "readonly": message.Root.Readonly},
            "hostname": message.Hostname or None,
            "mounts": [_mount_to_oci(mount) for mount in message.Mounts],
            "hooks": hooks_to_oci(message.Hooks) or None,
            "annotations": dict(message.Annotations) or None,
            "linux": _linux_to_oci(message.Linux),
        }
    )
    refuse_nul(spec, "spec")
    return spec


def process_to_oci(message: oci_pb2.Process) -> Spec:
    """Return the `process` part.

    Raises `InvalidArgument` without arguments, for an unknown capability, and for a
    value that no process can have.
    """
    if not message.Args:
        raise InvalidArgument("process: no arguments")
    console = message.ConsoleSize
    if not LOWEST_OOM_SCORE <= message.OOMScoreAdj <= HIGHEST_OOM_SCORE:
        raise InvalidArgument(f"process: OOM score {message.OOMScoreAdj}")
    limits = [limit.Type for limit in message.Rlimits]
    for limit in limits:
        if limits.count(limit) > 1:
            raise InvalidArgument(f"process: two limits {limit!r}")
    process = without_none(
        {
            "terminal": message.Terminal,
            "consoleSize": {"height": console.Height, "width": console.Width}
            if console.Height and console.Width
            else None,
            "user": without_none(
                {
                    "uid": message.User.UID,
                    "gid": message.User.GID,
                    "additionalGids": list(message.User.AdditionalGids) or None,
                    "username": message.User.Username or None,
                }
            ),
            "args": list(message.Args),
            "env": list(message.Env),
            "cwd": message.Cwd or "/",
            "capabilities": capabilities_to_oci(message.Capabilities)
            if message.HasField("Capabilities")
            else None,
            "rlimits": [
                {"type": limit.Type, "hard": limit.Hard, "soft": limit.Soft}
                for limit in message.Rlimits
            ]
            or None,
            "noNewPrivileges": message.NoNewPrivileges,
            "apparmorProfile": message.ApparmorProfile or None,
            "selinuxLabel": message.SelinuxLabel or None,
            "oomScoreAdj": message.OOMScoreAdj,
        }
    )
    refuse_nul(process, "process")
    return process


def exec_to_oci(message: oci_pb2.Process) -> Spec:
    """Return the process of an exec, without the parts that the message leaves out.

    These are `user`, `env`, `cwd` and `capabilities`. A user in the message is whole,
    also an empty one, which is root. Raises `InvalidArgument` as `process_to_oci` does.
    """
    process = process_to_oci(message)
    if not message.HasField("User"):
        del process["user"]
    if not message.Env:
        del process["env"]
    if not message.Cwd:
        del process["cwd"]
    return process


def hooks_to_oci(message: oci_pb2.Hooks) -> Spec:
    """Return the `hooks` part, without the kinds that have no hooks."""
    kinds = {
        "prestart": message.Prestart,
        "createRuntime": message.CreateRuntime,
        "createContainer": message.CreateContainer,
        "startContainer": message.StartContainer,
        "poststart": message.Poststart,
        "poststop": message.Poststop,
    }
    return {
        kind: [
            {"path": hook.Path}
            | only_set(args=list(hook.Args), env=list(hook.Env), timeout=hook.Timeout)
            for hook in hooks
        ]
        for kind, hooks in kinds.items()
        if hooks
    }


def _linux_to_oci(message: oci_pb2.Linux) -> Spec:
    return without_none(
        {
            "uidMappings": _mappings_to_oci(message.UIDMappings),
            "gidMappings": _mappings_to_oci(message.GIDMappings),
            "sysctl": dict(message.Sysctl) or None,
            "resources": resources_to_oci(message.Resources),
            "cgroupsPath": message.CgroupsPath,
            "namespaces": [
                _namespace_to_oci(namespace) for namespace in message.Namespaces
            ],
            "devices": [_device_to_oci(device) for device in message.Devices] or None,
            "seccomp": seccomp_to_oci(message.Seccomp),
            "rootfsPropagation": message.RootfsPropagation or None,
            "maskedPaths": list(message.MaskedPaths) or None,
            "readonlyPaths": list(message.ReadonlyPaths) or None,
            "mountLabel": message.MountLabel or None,
            "intelRdt": only_set_or_none(l3CacheSchema=message.IntelRdt.L3CacheSchema),
        }
    )


def _namespace_to_oci(message: oci_pb2.LinuxNamespace) -> Spec:
    kind = NAMESPACES.get(message.Type, message.Type)
    return without_none({"type": kind, "path": message.Path or None})


def _mount_to_oci(message: oci_pb2.Mount) -> Spec:
    subject = f"mount {message.destination!r}"
    is_bind = message.type == "bind" or {"bind", "rbind"} & set(message.options)
    if not message.destination:
        raise InvalidArgument(f"{subject}: no destination")
    if is_bind and not message.source:
        raise InvalidArgument(f"{subject}: a bind without a source")
    if not is_bind and not message.type:
        raise InvalidArgument(f"{subject}: no type")
    return without_none(
        {
            "destination": message.destination,
            "source": message.source or None,
            "type": message.type or None,
            "options": list(message.options) or None,
        }
    )


def _mappings_to_oci(messages: Iterable[oci_pb2.LinuxIDMapping]) -> list[Spec] | None:
    mappings = [
        {
            "containerID": mapping.ContainerID,
            "hostID": mapping.HostID,
            "size": mapping.Size,
        }
        for mapping in messages
    ]
    return mappings or None


def _device_to_oci(message: oci_pb2.LinuxDevice) -> Spec:
    return {
        "path": message.Path,
        "type": message.Type,
        "major": message.Major,
        "minor": message.Minor,
        "uid": message.UID,
        "gid": message.GID,
        # Zero would be a device that no user may open. Hosts also send the type, as the
        # kernel (S_IFMT) or as Go has it (os.ModeDevice): crun would make that one.
        **only_set(fileMode=message.FileMode & PERMISSIONS),
    }
