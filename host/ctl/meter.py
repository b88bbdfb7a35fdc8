# SPDX-License-Identifier: Apache-2.0
"""What a container uses of its guest, from one moment to the next."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from kata_host.client import AgentClient

_UNLIMITED: Final = 1 << 62
"""The kernel's numbers for no limit are near 2**63."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What a container used at one moment."""

    container: str
    cpu_percent: float
    """Since the sample before; 100 is one CPU."""
    memory: int
    """Bytes."""
    memory_limit: int
    """Bytes; 0 is no limit."""
    pids: int
    read: int
    """Bytes read from block devices."""
    written: int


class Meter:
    """Takes samples of one container."""

    def __init__(self, client: AgentClient, container: str) -> None:
        self._client = client
        self._container = container
        self._before = (0, 0)

    async def sample(self) -> Sample:
        """Return what is used now, and of the CPU since the call before."""
        from kata_protos import agent_pb2

        request = agent_pb2.StatsContainerRequest(container_id=self._container)
        response = await self._client.agent.stats_container(request)
        now = time.monotonic_ns()
        stats = response.cgroup_stats
        used = stats.cpu_stats.cpu_usage.total_usage
        passed = now - self._before[0]
        percent = 100 * max(0, used - self._before[1]) / max(1, passed)
        self._before = (now, used)
        limit = stats.memory_stats.usage.limit
        blocks = {"read": 0, "write": 0}
        for entry in stats.blkio_stats.io_service_bytes_recursive:
            if entry.op.lower() in blocks:
                blocks[entry.op.lower()] += entry.value
        return Sample(
            self._container,
            percent,
            stats.memory_stats.usage.usage,
            0 if limit >= _UNLIMITED else limit,
            stats.pids_stats.current,
            blocks["read"],
            blocks["write"],
        )
