# SPDX-License-Identifier: Apache-2.0
"""The OCI specification of a container without special needs.

The specification is that of `docker run`: namespaces of its own for mounts, pids, host
name and IPC, the pseudo file systems, a small set of capabilities, and no access to the
parts of /proc that describe the machine. The network is the guest's, as in Kata.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from kata_host.client.limits import Limits
from kata_protos import agent_pb2, oci_pb2

OCI_VERSION: Final = "1.0.2"
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TERM: Final = "xterm"

NO_LIMITS: Final = Limits()

LAYERS: Final = "/run/kata-containers"
"""The directory of a guest in which containers have theirs."""
NAMESPACES: Final = ("mount", "pid", "ipc", "uts")

CAPABILITIES: Final = (
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
)
NOFILE: Final = (1024, 4096)
"""Soft and hard limit on open files."""

MASKED_PATHS: Final = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/firmware",
)
READONLY_PATHS: Final = (
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
)

_SAFE: Final = ("nosuid", "noexec", "nodev")
_MOUNTS: Final = (
    ("/proc", "proc", _SAFE),
    ("/dev", "tmpfs", ("nosuid", "strictatime", "mode=755", "size=65536k")),
    (
        "/dev/pts",
        "devpts",
        ("nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
    ),
    ("/dev/shm", "tmpfs", (*_SAFE, "mode=1777", "size=65536k")),
    ("/dev/mqueue", "mqueue", _SAFE),
    ("/sys", "sysfs", (*_SAFE, "ro")),
    ("/sys/fs/cgroup", "cgroup", (*_SAFE, "relatime", "ro")),
)
"""Destination, type and options of each mount."""


def default_process(
    args: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str = "/",
    user: tuple[int, int] = (0, 0),
    terminal: bool = False,
    capabilities: Sequence[str] = CAPABILITIES,
    rlimits: Iterable[oci_pb2.POSIXRlimit] = (),
) -> oci_pb2.Process:
    """Return a process that runs `args` as `user` (uid, gid).

    `env` extends an environment of `PATH` and, on a terminal, `TERM`. A limit of
    `rlimits` replaces the default of its type.
    """
    environment = {"PATH": PATH, **({"TERM": TERM} if terminal else {}), **(env or {})}
    soft, hard = NOFILE
    default = oci_pb2.POSIXRlimit(Type="RLIMIT_NOFILE", Soft=soft, Hard=hard)
    limits = {limit.Type: limit for limit in (default, *rlimits)}
    return oci_pb2.Process(
        Terminal=terminal,
        User=oci_pb2.User(UID=user[0], GID=user[1]),
        Args=args,
        Env=[f"{name}={value}" for name, value in environment.items()],
        Cwd=cwd,
        Capabilities=oci_pb2.LinuxCapabilities(
            Bounding=capabilities, Effective=capabilities, Permitted=capabilities
        ),
        Rlimits=limits.values(),
    )


def additional_process(
    args: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: str = "",
    terminal: bool = False,
) -> oci_pb2.Process:
    """Return one more process of a container, with all that is left out of it.

    The user, groups, capabilities and limits are the container's, and so is the
    directory, without `cwd`, and the environment, without `env`, which is a whole one.
    """
    return oci_pb2.Process(
        Terminal=terminal,
        Args=args,
        Env=[f"{name}={value}" for name, value in (env or {}).items()],
        Cwd=cwd,
    )


def default_spec(
    container_id: str,
    process: oci_pb2.Process,
    *,
    rootfs: str,
    readonly: bool = False,
    hostname: str = "",
    mounts: Iterable[oci_pb2.Mount] = (),
    limits: Limits = NO_LIMITS,
    annotations: Mapping[str, str] | None = None,
) -> oci_pb2.Spec:
    """Return the specification of a container over `rootfs`, a path in the guest.

    `mounts` follow the pseudo file systems, and may cover parts of them.
    """
    spec = oci_pb2.Spec(
        Version=OCI_VERSION,
        Process=process,
        Root=oci_pb2.Root(Path=rootfs, Readonly=readonly),
        Hostname=hostname or container_id,
        Mounts=[
            *(
                oci_pb2.Mount(
                    destination=destination, source=type, type=type, options=options
                )
                for destination, type, options in _MOUNTS
            ),
            *mounts,
        ],
        Linux=oci_pb2.Linux(
            CgroupsPath=f"/{container_id}",
            Namespaces=[oci_pb2.LinuxNamespace(Type=name) for name in NAMESPACES],
            # The runtime allows the devices that every container gets, and no other.
            Resources=oci_pb2.LinuxResources(
                Devices=[oci_pb2.LinuxDeviceCgroup(Allow=False, Access="rwm")]
            ),
            MaskedPaths=MASKED_PATHS,
            ReadonlyPaths=READONLY_PATHS,
        ),
        Annotations=annotations,
    )
    limits.set_in(spec.Linux.Resources)
    return spec


def writable_layer(
    container_id: str,
    rootfs: str,
    directory: str = LAYERS,
    *,
    lower: Sequence[str] = (),
) -> tuple[agent_pb2.Storage, str]:
    """Return a storage that puts a writable layer over `rootfs`, and its path.

    `lower` are directories below `rootfs`, the highest first: the layers of an image.
    The writable layer belongs to the container and is removed with it, so any number
    of containers can share the others. The path is below `directory`. Raises
    `ValueError` for a `rootfs` that overlayfs would split.
    """
    for layer in (rootfs, *lower):
        # overlayfs separates layers and options by these characters.
        if set(layer) & set(":,\\"):
            raise ValueError(f"rootfs '{layer}': the path must be without : , and \\")
    layers = ":".join((rootfs, *lower))
    path = f"{directory}/{container_id}/rootfs"
    storage = agent_pb2.Storage(
        driver="overlayfs",
        source="overlay",
        fstype="overlay",
        options=["io.katacontainers.fs-opt.overlay-rw", f"lowerdir={layers}"],
        mount_point=path,
    )
    return storage, path
