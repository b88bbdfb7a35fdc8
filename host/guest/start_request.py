# SPDX-License-Identifier: Apache-2.0
"""The guest that `kata-agent-ctl guest start` asks a holder process for."""

from __future__ import annotations

from dataclasses import dataclass, field

from kata_host.network import Network


@dataclass(frozen=True, slots=True)
class StartRequest:
    """A guest to start; sent to the holder as one JSON object."""

    name: str
    kind: str
    """`local` or `vm`."""
    parameters: list[str] = field(default_factory=list)
    """Words of the kernel's command line, which hold the agent's options."""
    cpus: int = 1
    """CPUs of a VM."""
    memory: int = 512
    """Memory of a VM in MiB."""
    network: Network = "none"
    devices: list[str] = field(default_factory=list)
    """More arguments of QEMU for a VM."""
    is_warm: bool = False
    """Whether a VM is restored from a snapshot where that can be done."""
