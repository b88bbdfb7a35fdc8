# SPDX-License-Identifier: Apache-2.0
"""What a container may use of its guest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from kata_host.quantities import parse_size
from kata_protos import oci_pb2

PERIOD: Final = 100_000
"""Microseconds in which a container may run for its quota, the kernel's default."""
_LEAST_QUOTA: Final = 1_000
"""Microseconds; the kernel refuses less (kernel/sched/core.c)."""
_MOST: Final = 2**63
_MOST_CPUS: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits that the kernel holds by cgroups; None is no limit."""

    memory: int | str | None = None
    """Bytes, or a text such as `512m`. Swap is not more memory."""
    cpus: float | None = None
    """CPUs' worth of time: 0.5 is half of one."""
    pids: int | None = None
    """Processes and threads."""

    def __post_init__(self) -> None:
        """Raise `ValueError` for a limit that no kernel takes."""
        if self.memory is not None and not 0 < self.memory_bytes() < _MOST:
            raise ValueError(f"memory {self.memory!r}: not a positive number of bytes")
        if self.cpus is not None and not 0.01 <= self.cpus <= _MOST_CPUS:
            raise ValueError(f"cpus {self.cpus!r}: not a number of 0.01 or more")
        if self.pids is not None and not 0 < self.pids < _MOST:
            raise ValueError(f"pids {self.pids!r}: not a whole number of 1 or more")

    def memory_bytes(self) -> int:
        """Return the bytes of memory; 0 is no limit."""
        if isinstance(self.memory, str):
            return parse_size(self.memory)
        return self.memory or 0

    def set_in(self, resources: oci_pb2.LinuxResources) -> None:
        """Write the limits into the resources of a container."""
        if memory := self.memory_bytes():
            resources.Memory.Limit = memory
            # The sum of both, so that there is no swap (OCI runtime-spec, Memory).
            resources.Memory.Swap = memory
        if self.cpus is not None:
            resources.CPU.Quota = max(_LEAST_QUOTA, round(self.cpus * PERIOD))
            resources.CPU.Period = PERIOD
        if self.pids is not None:
            resources.Pids.Limit = self.pids
