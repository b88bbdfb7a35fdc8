# SPDX-License-Identifier: Apache-2.0
"""From the wire's OCI messages to the OCI runtime's JSON.

proto3 scalars have no presence: a field that was never set reads as zero. Where
the OCI specification says *optional*, zero therefore means absent here; the
only exception is `oomScoreAdj`, where zero is the sensible setting and absence
would inherit the agent's own protection.

What a spec must become to run in this sandbox is in `kata_agent.oci.adapt`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from kata_agent.errors import InvalidArgument
from kata_protos import oci_pb2

Spec = dict[str, Any]
"""An OCI runtime specification (or a part of it), as `config.json` holds it."""

OCI_VERSION: Final = "1.0.2"
_ANY_NUMBER: Final = -1
"""How clients write the wildcard of a device rule's major or minor."""


def to_oci(message: oci_pb2.Spec) -> Spec:
    """Return the whole spec. Raises `InvalidArgument` without its necessary parts."""
    for part in ("Process", "Root", "Linux"):
        if not message.HasField(part):
            raise InvalidArgument(f"spec: no {part.lower()}")
    return _without_absent(
        {
            "ociVersion": message.Version or OCI_VERSION,
            "process": process_to_oci(message.Process),
            "root": {"path": message.Root.Path, "readonly": message.Root.Readonly},
            "hostname": message.Hostname or None,
            "mounts": [_mount_to_oci(mount) for mount in message.Mounts],
            "hooks": hooks_to_oci(message.Hooks) or None,
            "annotations": dict(message.Annotations) or None,
            "linux": _linux_to_oci(message.Linux),
        }
    )


def process_to_oci(message: oci_pb2.Process) -> Spec:
    """Return the `process` part. Raises `InvalidArgument` without arguments."""
    if not message.Args:
        raise InvalidArgument("process: no arguments")
    console = message.ConsoleSize
    return _without_absent(
        {
            "terminal": message.Terminal,
            "consoleSize": {"height": console.Height, "width": console.Width}
            if console.Height and console.Width
            else None,
            "user": _without_absent(
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
            "capabilities": _capabilities_to_oci(message.Capabilities)
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


def resources_to_oci(message: oci_pb2.LinuxResources) -> Spec:
    """Return the `linux.resources` part; what is not set is not there."""
    memory, cpu, pids = message.Memory, message.CPU, message.Pids
    network = message.Network
    return _without_absent(
        {
            "devices": [_device_rule_to_oci(rule) for rule in message.Devices] or None,
            "memory": _set_only(
                limit=memory.Limit,
                reservation=memory.Reservation,
                swap=memory.Swap,
                kernel=memory.Kernel,
                kernelTCP=memory.KernelTCP,
                swappiness=memory.Swappiness,
                disableOOMKiller=memory.DisableOOMKiller,
            ),
            "cpu": _set_only(
                shares=cpu.Shares,
                quota=cpu.Quota,
                period=cpu.Period,
                realtimeRuntime=cpu.RealtimeRuntime,
                realtimePeriod=cpu.RealtimePeriod,
                cpus=cpu.Cpus,
                mems=cpu.Mems,
            ),
            "pids": _set_only(limit=pids.Limit),
            "blockIO": _block_io_to_oci(message.BlockIO),
            "hugepageLimits": [
                {"pageSize": limit.Pagesize, "limit": limit.Limit}
                for limit in message.HugepageLimits
            ]
            or None,
            "network": _set_only(
                classID=network.ClassID,
                priorities=[
                    {"name": priority.Name, "priority": priority.Priority}
                    for priority in network.Priorities
                ],
            ),
        }
    )


def hooks_to_oci(message: oci_pb2.Hooks) -> Spec:
    """Return the `hooks` part, without the kinds that have none."""
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
            | _set_only_or_empty(
                args=list(hook.Args), env=list(hook.Env), timeout=hook.Timeout
            )
            for hook in hooks
        ]
        for kind, hooks in kinds.items()
        if hooks
    }


def _linux_to_oci(message: oci_pb2.Linux) -> Spec:
    return _without_absent(
        {
            "uidMappings": _mappings_to_oci(message.UIDMappings),
            "gidMappings": _mappings_to_oci(message.GIDMappings),
            "sysctl": dict(message.Sysctl) or None,
            "resources": resources_to_oci(message.Resources),
            "cgroupsPath": message.CgroupsPath,
            "namespaces": [
                _without_absent(
                    {"type": namespace.Type, "path": namespace.Path or None}
                )
                for namespace in message.Namespaces
            ],
            "devices": [_device_to_oci(device) for device in message.Devices] or None,
            "seccomp": _seccomp_to_oci(message.Seccomp),
            "rootfsPropagation": message.RootfsPropagation or None,
            "maskedPaths": list(message.MaskedPaths) or None,
            "readonlyPaths": list(message.ReadonlyPaths) or None,
            "mountLabel": message.MountLabel or None,
            "intelRdt": _set_only(l3CacheSchema=message.IntelRdt.L3CacheSchema),
        }
    )


def _mount_to_oci(message: oci_pb2.Mount) -> Spec:
    return _without_absent(
        {
            "destination": message.destination,
            "source": message.source or None,
            "type": message.type or None,
            "options": list(message.options) or None,
        }
    )


def _capabilities_to_oci(message: oci_pb2.LinuxCapabilities) -> Spec:
    return {
        "bounding": list(message.Bounding),
        "effective": list(message.Effective),
        "inheritable": list(message.Inheritable),
        "permitted": list(message.Permitted),
        "ambient": list(message.Ambient),
    }


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
        # A device that nobody could open was never meant.
        **_set_only_or_empty(fileMode=message.FileMode),
    }


def _device_rule_to_oci(message: oci_pb2.LinuxDeviceCgroup) -> Spec:
    rule: Spec = {
        "allow": message.Allow,
        "type": message.Type or "a",
        "access": message.Access,
    }
    # Major 0 is no device: it is a wildcard that lost its presence on the wire.
    # It is read as one only where that cannot open anything.
    harmless = not message.Allow or message.Access == "m" or rule["type"] == "a"
    if message.Major == _ANY_NUMBER or (message.Major == 0 and harmless):
        if message.Minor > 0:
            rule["minor"] = message.Minor
        return rule
    rule["major"] = message.Major
    if message.Minor != _ANY_NUMBER:
        rule["minor"] = message.Minor
    return rule


def _block_io_to_oci(message: oci_pb2.LinuxBlockIO) -> Spec | None:
    throttles = {
        "throttleReadBpsDevice": message.ThrottleReadBpsDevice,
        "throttleWriteBpsDevice": message.ThrottleWriteBpsDevice,
        "throttleReadIOPSDevice": message.ThrottleReadIOPSDevice,
        "throttleWriteIOPSDevice": message.ThrottleWriteIOPSDevice,
    }
    return _set_only(
        weight=message.Weight,
        leafWeight=message.LeafWeight,
        weightDevice=[
            {"major": device.Major, "minor": device.Minor}
            | _set_only_or_empty(weight=device.Weight, leafWeight=device.LeafWeight)
            for device in message.WeightDevice
        ],
        **{
            name: [
                {"major": device.Major, "minor": device.Minor, "rate": device.Rate}
                for device in devices
            ]
            for name, devices in throttles.items()
        },
    )


def _seccomp_to_oci(message: oci_pb2.LinuxSeccomp) -> Spec | None:
    if not message.DefaultAction and not message.Syscalls:
        return None
    return _without_absent(
        {
            "defaultAction": message.DefaultAction,
            "architectures": list(message.Architectures) or None,
            "flags": list(message.Flags) or None,
            "syscalls": [_seccomp_rule_to_oci(rule) for rule in message.Syscalls],
        }
    )


def _seccomp_rule_to_oci(message: oci_pb2.LinuxSyscall) -> Spec:
    return _without_absent(
        {
            "names": list(message.Names),
            "action": message.Action,
            "errnoRet": message.errnoret if message.HasField("errnoret") else None,
            "args": [
                {
                    "index": argument.Index,
                    "value": argument.Value,
                    "valueTwo": argument.ValueTwo,
                    "op": argument.Op,
                }
                for argument in message.Args
            ]
            or None,
        }
    )


def _without_absent(part: Spec) -> Spec:
    return {name: value for name, value in part.items() if value is not None}


def _set_only(**fields: Any) -> Spec | None:
    return _set_only_or_empty(**fields) or None


def _set_only_or_empty(**fields: Any) -> Spec:
    return {name: value for name, value in fields.items() if value}
