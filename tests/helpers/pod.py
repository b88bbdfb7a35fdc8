# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes pod as containerd describes it, and as Kata's runtimes pass it on.

The runtimes take out the fields that mean nothing in a guest: hooks, paths of
namespaces, the network, pid, cgroup and time namespaces, device rules, limits but those
of memory and CPU time, and the host's CPU numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from kata_host.client.spec import CAPABILITIES, MASKED_PATHS, PATH, READONLY_PATHS
from kata_protos import oci_pb2

POD_UID: Final = "1f1c2b9e-6f6f-4a53-8f2c-8a7d3c9f4a10"
SANDBOX: Final = "5a9e1d7c02c34be0a3f1e8c6b7d94f2e6c1b0a8d7f3e5c4b2a190807f6e5d4c3"
WORKLOAD: Final = "c0ffee2b7a6d45e19f8c3b1a0e7d6c5b4a3928170f6e5d4c3b2a1908f7e6d5c4"
SHM: Final = "/run/kata-containers/sandbox/shm"
SHARED: Final = "/run/kata-containers/shared/containers"

_SAFE: Final = ("nosuid", "noexec", "nodev")
_MOUNTS: Final = (
    ("/proc", "proc", "proc", _SAFE),
    ("/dev", "tmpfs", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
    (
        *("/dev/pts", "devpts", "devpts"),
        ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
    ),
    ("/dev/mqueue", "mqueue", "mqueue", _SAFE),
    ("/sys", "sysfs", "sysfs", (*_SAFE, "ro")),
    ("/sys/fs/cgroup", "cgroup", "cgroup", (*_SAFE, "relatime", "ro")),
)
_BIND: Final = ("rbind", "rprivate", "rw")


@dataclass(frozen=True, slots=True)
class Pod:
    """The differences between the runtimes, and between ways to run a node."""

    cgroup_parent: str
    """`slice:prefix` with systemd on the host, otherwise a path."""
    directory: str
    """Where the guest has root file systems and files such as /etc/hosts."""
    namespaces: Sequence[str] = ("ipc", "uts", "mount")
    sysctl: dict[str, str] = field(
        default_factory=lambda: {
            "net.ipv4.ip_unprivileged_port_start": "0",
            "net.ipv4.ping_group_range": "0 2147483647",
        }
    )

    def cgroups_path(self, container_id: str) -> str:
        separator = ":" if ":" in self.cgroup_parent else "/"
        return f"{self.cgroup_parent}{separator}{container_id}"

    def pause(self) -> oci_pb2.Spec:
        """The container that holds the pod together."""
        process = self._process(["/pause"], uid=65535, oom_score=-998)
        process.NoNewPrivileges = True
        spec = self._spec(SANDBOX, process, "sandbox", readonly=True)
        spec.Linux.Resources.CPU.Shares = 2
        spec.Linux.Sysctl.update(self.sysctl)
        spec.Mounts.extend(
            [_bind(SHM, "/dev/shm"), self._file("resolv.conf", SANDBOX, "ro")]
        )
        return spec

    def workload(self, args: Sequence[str], *, memory: int = 128 << 20) -> oci_pb2.Spec:
        """A container with the files and limits that a kubelet gives it."""
        process = self._process(args, oom_score=982)
        process.Env.extend(
            ["HOSTNAME=web-0", "KUBERNETES_SERVICE_HOST=10.96.0.1", "GREETING=hello"]
        )
        spec = self._spec(WORKLOAD, process, "container")
        spec.Annotations.update(
            {
                "io.kubernetes.cri.container-name": "web",
                "io.kubernetes.cri.image-name": "docker.io/library/busybox:1.37",
                "io.kubernetes.container.terminationMessagePath": (
                    "/dev/termination-log"
                ),
            }
        )
        limits = spec.Linux.Resources
        limits.CPU.Shares, limits.CPU.Quota, limits.CPU.Period = 512, 100_000, 100_000
        limits.Memory.Limit = memory
        spec.Linux.Seccomp.CopyFrom(_seccomp())
        spec.Mounts.extend(
            [
                self._file("hosts", WORKLOAD),
                self._file("termination-log", WORKLOAD, at="/dev/termination-log"),
                self._file("hostname", SANDBOX),
                self._file("resolv.conf", SANDBOX),
                _bind(SHM, "/dev/shm"),
                self._file(
                    *("serviceaccount", WORKLOAD, "ro"),
                    at="/var/run/secrets/kubernetes.io/serviceaccount",
                ),
            ]
        )
        return spec

    def rootfs(self, container_id: str) -> str:
        return f"{self.directory}/{container_id}/rootfs"

    def path(self, name: str, container_id: str) -> str:
        """Return where the guest has a file for a container."""
        return f"{self.directory}/{container_id}-{POD_UID[:16]}-{name}"

    def _file(
        self, name: str, container_id: str, mode: str = "rw", at: str = ""
    ) -> oci_pb2.Mount:
        return _bind(self.path(name, container_id), at or f"/etc/{name}", mode)

    def _process(
        self, args: Sequence[str], *, uid: int = 0, oom_score: int
    ) -> oci_pb2.Process:
        return oci_pb2.Process(
            User=oci_pb2.User(UID=uid, GID=uid, AdditionalGids=[uid, 10]),
            Args=args,
            Env=[f"PATH={PATH}"],
            Cwd="/",
            Capabilities=oci_pb2.LinuxCapabilities(
                Bounding=CAPABILITIES, Effective=CAPABILITIES, Permitted=CAPABILITIES
            ),
            OOMScoreAdj=oom_score,
        )

    def _spec(
        self,
        container_id: str,
        process: oci_pb2.Process,
        kind: str,
        *,
        readonly: bool = False,
    ) -> oci_pb2.Spec:
        return oci_pb2.Spec(
            Version="1.2.0",
            Process=process,
            Root=oci_pb2.Root(Path=self.rootfs(container_id), Readonly=readonly),
            Hostname="web-0" if kind == "sandbox" else "",
            Mounts=[
                oci_pb2.Mount(
                    destination=place, type=fstype, source=source, options=options
                )
                for place, fstype, source, options in _MOUNTS
            ],
            Annotations={
                "io.katacontainers.pkg.oci.bundle_path": (
                    f"/run/containerd/io.containerd.runtime.v2.task/k8s.io/{container_id}"
                ),
                "io.katacontainers.pkg.oci.container_type": f"pod_{kind}",
                "io.kubernetes.cri.container-type": kind,
                "io.kubernetes.cri.sandbox-id": SANDBOX,
                "io.kubernetes.cri.sandbox-name": "web-0",
                "io.kubernetes.cri.sandbox-namespace": "default",
                "io.kubernetes.cri.sandbox-uid": POD_UID,
            },
            Linux=oci_pb2.Linux(
                CgroupsPath=self.cgroups_path(container_id),
                Namespaces=[oci_pb2.LinuxNamespace(Type=n) for n in self.namespaces],
                Resources=oci_pb2.LinuxResources(),
                MaskedPaths=MASKED_PATHS,
                ReadonlyPaths=READONLY_PATHS,
            ),
        )


def _bind(source: str, destination: str, mode: str = "rw") -> oci_pb2.Mount:
    options = [*_BIND[:-1], mode]
    return oci_pb2.Mount(
        destination=destination, source=source, type="bind", options=options
    )


def _seccomp() -> oci_pb2.LinuxSeccomp:
    """A few rules of containerd's default profile, the other way round."""
    clone_newuser = 0x10000000
    mask = oci_pb2.LinuxSeccompArg(
        Index=0, Value=clone_newuser, ValueTwo=clone_newuser, Op="SCMP_CMP_MASKED_EQ"
    )
    return oci_pb2.LinuxSeccomp(
        DefaultAction="SCMP_ACT_ALLOW",
        Architectures=["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
        Syscalls=[
            oci_pb2.LinuxSyscall(
                Names=["keyctl", "add_key", "mount", "unshare", "no_such_call"],
                Action="SCMP_ACT_ERRNO",
                errnoret=1,
            ),
            oci_pb2.LinuxSyscall(
                Names=["clone"], Action="SCMP_ACT_ERRNO", errnoret=1, Args=[mask]
            ),
        ],
    )
