# SPDX-License-Identifier: Apache-2.0
"""Cgroups: what the agent reads and writes of them, version 1 and 2.

The OCI runtime makes a container's cgroup and sets its limits. Everything else
goes through `Cgroup`: process lists, killing, freezing, statistics, OOM events.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from kata_protos import agent_pb2


class Cgroup(Protocol):
    """One container's cgroup, in whatever hierarchies there are."""

    def pids(self) -> list[int]:
        """Return its processes and those of cgroups below, in the agent's numbers."""
        ...

    async def kill(self) -> None:
        """Send SIGKILL to every process, also to those forked meanwhile."""
        ...

    async def wait_for_empty(self) -> None:
        """Return when no process is left."""
        ...

    async def freeze(self, timeout: float) -> None:
        """Stop every process; returns once the kernel says so. Raises `Timeout`."""
        ...

    async def thaw(self) -> None:
        """Let every process go on."""
        ...

    def stats(self) -> agent_pb2.CgroupStats:
        """Read the statistics; a controller that is not there has none. May block."""
        ...

    def lift(self, limit: str) -> None:
        """Remove `limit`, one of `kata_agent.oci.resources.LIFTABLE`. May block."""
        ...

    def watch_oom(self, on_kill: Callable[[], None]) -> Callable[[], None]:
        """Call `on_kill` once for each OOM kill; return what stops that."""
        ...

    async def remove(self) -> None:
        """Remove the empty cgroup and those below it; none is fine."""
        ...
