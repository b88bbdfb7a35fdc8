# SPDX-License-Identifier: Apache-2.0
"""From the messages of the wire to the JSON of the runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict

from kata_agent.errors import InvalidArgument
from kata_agent.oci.convert import (
    exec_to_oci,
    hooks_to_oci,
    process_to_oci,
    to_oci,
)
from kata_agent.oci.convert_resources import resources_to_oci
from kata_protos import oci_pb2


def full() -> oci_pb2.Spec:
    return ParseDict(
        {
            "Version": "1.0.2-dev",
            "Process": {
                "Terminal": True,
                "ConsoleSize": {"Height": 24, "Width": 80},
                "User": {"UID": 1, "GID": 2, "AdditionalGids": [3], "Username": "u"},
                "Args": ["a", "b"],
                "Env": ["K=V"],
                "Cwd": "/w",
                "Capabilities": {"Bounding": ["CAP_KILL"]},
                "Rlimits": [{"Type": "RLIMIT_CPU", "Hard": 2, "Soft": 1}],
                "NoNewPrivileges": True,
                "ApparmorProfile": "p",
                "OOMScoreAdj": -5,
                "SelinuxLabel": "l",
            },
            "Root": {"Path": "/r", "Readonly": True},
            "Hostname": "h",
            "Mounts": [
                {
                    "destination": "/d",
                    "source": "s",
                    "type": "tmpfs",
                    "options": ["ro"],
                }
            ],
            "Hooks": {"Prestart": [{"Path": "/h", "Args": ["h"], "Timeout": 3}]},
            "Annotations": {"k": "v"},
            "Linux": {
                "UIDMappings": [{"HostID": 1, "ContainerID": 0, "Size": 5}],
                "Sysctl": {"net.a": "1"},
                "CgroupsPath": "/p",
                "Namespaces": [{"Type": "ipc", "Path": "/n"}],
                "Devices": [
                    {
                        "Path": "/dev/x",
                        "Type": "c",
                        "Major": 1,
                        "Minor": 2,
                        "FileMode": 438,
                    }
                ],
                "Seccomp": {
                    "DefaultAction": "SCMP_ACT_ALLOW",
                    "Architectures": ["SCMP_ARCH_X86_64"],
                    "Flags": ["SECCOMP_FILTER_FLAG_LOG"],
                    "Syscalls": [
                        {
                            "Names": ["read"],
                            "Action": "SCMP_ACT_ERRNO",
                            "errnoret": 38,
                            "Args": [{"Index": 1, "Value": 2, "Op": "SCMP_CMP_EQ"}],
                        }
                    ],
                },
                "RootfsPropagation": "rslave",
                "MaskedPaths": ["/m"],
                "ReadonlyPaths": ["/o"],
                "MountLabel": "ml",
            },
        },
        oci_pb2.Spec(),
    )


def test_everything_is_carried_over() -> None:
    assert to_oci(full()) == {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": True,
            "consoleSize": {"height": 24, "width": 80},
            "user": {"uid": 1, "gid": 2, "additionalGids": [3], "username": "u"},
            "args": ["a", "b"],
            "env": ["K=V"],
            "cwd": "/w",
            "capabilities": {
                "bounding": ["CAP_KILL"],
                "effective": [],
                "inheritable": [],
                "permitted": [],
                "ambient": [],
            },
            "rlimits": [{"type": "RLIMIT_CPU", "hard": 2, "soft": 1}],
            "noNewPrivileges": True,
            "apparmorProfile": "p",
            "selinuxLabel": "l",
            "oomScoreAdj": -5,
        },
        "root": {"path": "/r", "readonly": True},
        "hostname": "h",
        "mounts": [
            {"destination": "/d", "source": "s", "type": "tmpfs", "options": ["ro"]}
        ],
        "hooks": {"prestart": [{"path": "/h", "args": ["h"], "timeout": 3}]},
        "annotations": {"k": "v"},
        "linux": {
            "uidMappings": [{"containerID": 0, "hostID": 1, "size": 5}],
            "sysctl": {"net.a": "1"},
            "resources": {},
            "cgroupsPath": "/p",
            "namespaces": [{"type": "ipc", "path": "/n"}],
            "devices": [
                {
                    "path": "/dev/x",
                    "type": "c",
                    "major": 1,
                    "minor": 2,
                    "uid": 0,
                    "gid": 0,
                    "fileMode": 438,
                }
            ],
            "seccomp": {
                "defaultAction": "SCMP_ACT_ALLOW",
                "architectures": ["SCMP_ARCH_X86_64"],
                "flags": ["SECCOMP_FILTER_FLAG_LOG"],
                "syscalls": [
                    {
                        "names": ["read"],
                        "action": "SCMP_ACT_ERRNO",
                        "errnoRet": 38,
                        "args": [
                            {
                                "index": 1,
                                "value": 2,
                                "valueTwo": 0,
                                "op": "SCMP_CMP_EQ",
                            }
                        ],
                    }
                ],
            },
            "rootfsPropagation": "rslave",
            "maskedPaths": ["/m"],
            "readonlyPaths": ["/o"],
            "mountLabel": "ml",
        },
    }


@pytest.mark.parametrize("part", ["Process", "Root", "Linux"])
def test_necessary_parts(part: str) -> None:
    spec = full()
    spec.ClearField(part)  # type: ignore[arg-type]  # a literal in the stubs
    with pytest.raises(InvalidArgument, match=f"^spec: no {part.lower()}$"):
        to_oci(spec)


def test_a_process_needs_arguments() -> None:
    with pytest.raises(InvalidArgument, match="^process: no arguments$"):
        process_to_oci(oci_pb2.Process())


def test_zero_means_absent_where_it_is_optional() -> None:
    resources = oci_pb2.LinuxResources()
    for part in ("Memory", "CPU", "Pids", "BlockIO", "Network"):
        getattr(resources, part).SetInParent()
    assert resources_to_oci(resources) == {}
    hooks = oci_pb2.Hooks()
    hooks.Poststop.add(Path="/h")
    assert hooks_to_oci(hooks) == {"poststop": [{"path": "/h"}]}
    process = process_to_oci(oci_pb2.Process(Args=["a"]))
    assert process["oomScoreAdj"] == 0
    assert process["cwd"] == "/"
    assert "consoleSize" not in process
    assert "capabilities" not in process


@pytest.mark.parametrize("version", ["1.0.2-dev", "1.1.0+dev", "1.2.0", "1.3.0", ""])
def test_the_bundle_says_a_version_that_every_runtime_takes(version: str) -> None:
    """Go shims send 1.0.2-dev with containerd 1.6, 1.2 and 1.3 with containerd 2."""
    spec = full()
    spec.Version = version
    assert to_oci(spec)["ociVersion"] == "1.0.2"


@pytest.mark.parametrize(
    "sent",
    [
        0o666,
        0o20666,  # S_IFCHR
        0o60666,  # S_IFBLK: crun would make a block device
        0o666 | 1 << 26 | 1 << 21,  # Go: os.ModeDevice | os.ModeCharDevice
    ],
)
def test_a_mode_that_says_the_type_of_a_device_is_its_permissions(sent: int) -> None:
    """The Go runtime passes on what containerd, CRI-O or a CDI specification has."""
    message = full()
    del message.Linux.Devices[:]
    message.Linux.Devices.add(Path="/dev/null1", Type="c", Major=1, FileMode=sent)
    (device,) = to_oci(message)["linux"]["devices"]
    assert (device["type"], device["fileMode"]) == ("c", 0o666)


def test_namespaces_of_runtime_rs_have_the_names_of_the_oci_spec() -> None:
    spec = full()
    for kind in ("mnt", "net"):
        spec.Linux.Namespaces.add(Type=kind)
    kinds = [namespace["type"] for namespace in to_oci(spec)["linux"]["namespaces"]]
    assert kinds == ["ipc", "mount", "network"]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"destination": "/x", "type": "bind"}, "mount '/x': a bind without a source"),
        ({"destination": "/x", "options": ["rbind"]}, "a bind without a source"),
        ({"destination": "/x", "source": "/a"}, "mount '/x': no type"),
        ({"type": "tmpfs"}, "mount '': no destination"),
    ],
)
def test_a_mount_that_no_runtime_could_make(fields: Any, error: str) -> None:
    message = oci_pb2.Spec()
    message.Process.Args.append("true")
    message.Root.SetInParent()
    message.Linux.SetInParent()
    message.Mounts.add(**fields)
    with pytest.raises(InvalidArgument, match=error):
        to_oci(message)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda it: it.Args.append("a\0"), "process.args: a NUL"),
        (lambda it: it.Env.append("A=\0"), "process.env: a NUL"),
        (lambda it: setattr(it, "Cwd", "/\0"), "process.cwd: a NUL"),
        (lambda it: setattr(it, "OOMScoreAdj", 1001), "process: OOM score 1001"),
        (lambda it: setattr(it, "OOMScoreAdj", -(1 << 63)), "process: OOM score -9"),
        (
            lambda it: it.Rlimits.extend([oci_pb2.POSIXRlimit(Type="RLIMIT_CORE")] * 2),
            "process: two limits 'RLIMIT_CORE'",
        ),
    ],
)
def test_a_process_that_no_runtime_could_start(
    change: Callable[[oci_pb2.Process], object], error: str
) -> None:
    message = oci_pb2.Process(Args=["true"])
    change(message)
    for convert in (process_to_oci, exec_to_oci):
        with pytest.raises(InvalidArgument, match=error):
            convert(message)
