# SPDX-License-Identifier: Apache-2.0
"""The names of capabilities (man 7 capabilities), in the one form of the OCI spec.

Runtimes have several forms: the Go runtime sends `CAP_NET_RAW`, runtime-rs `NET_RAW`,
and releases of the Rust agent have taken both in any case, also as a JSON string with
its quotes. The OCI runtime knows the first form only, and crun drops all other names
without an error.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kata_agent.errors import InvalidArgument
from kata_agent.oci.spec import Spec
from kata_protos import oci_pb2

CAPABILITIES: Final = tuple(
    f"CAP_{name}"
    for name in (
        "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP "
        "LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK "
        "IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN "
        "SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE "
        "AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM "
        "BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
    ).split()
)
"""linux/capability.h, in the order of their numbers."""


def capabilities_to_oci(message: oci_pb2.LinuxCapabilities) -> Spec:
    """Return the `process.capabilities` part.

    Raises `InvalidArgument` with all names that are not capabilities.
    """
    sets = {
        "bounding": _normal(message.Bounding),
        "effective": _normal(message.Effective),
        "inheritable": _normal(message.Inheritable),
        "permitted": _normal(message.Permitted),
        "ambient": _normal(message.Ambient),
    }
    unknown = {name for names in sets.values() for name in names}.difference(
        CAPABILITIES
    )
    if unknown:
        listed = ", ".join(map(repr, sorted(unknown)))
        noun = "capability" if len(unknown) == 1 else "capabilities"
        raise InvalidArgument(f"{noun} {listed}: unknown")
    return sets


def _normal(names: Iterable[str]) -> list[str]:
    """Return each name in the form of the OCI spec, and unknown names as they came."""
    normal = []
    for name in names:
        plain = name.strip('"').upper()
        full = plain if plain.startswith("CAP_") else f"CAP_{plain}"
        normal.append(full if full in CAPABILITIES else name)
    return normal
