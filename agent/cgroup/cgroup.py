# SPDX-License-Identifier: Apache-2.0
"""A container's cgroup, the same for both versions.

The OCI runtime makes a container's cgroup and sets its limits. `Cgroup` does
the rest: process lists, killing, freezing, statistics, OOM kills.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from kata_protos import agent_pb2


class Cgroup(Protocol):
    """One container's cgroup: `CgroupV1` or `CgroupV2`. All may raise `OSError`."""

    def pids(self) -> list[int]:
        """Return the pids of its processes and of those in the cgroups below it.

        The pids are those of the agent's pid namespace. May block.
        """
        ...

    def exists(self) -> bool:
        """Tell whether it is there, in any hierarchy."""
        ...

    def is_in_use(self) -> bool:
        """Tell whether a process is in it or below, in any hierarchy. May block."""
        ...

    async def prepare_kill(self) -> None:
        """Let the rest of the guest have its part of the CPUs, before a kill of all.

        Thousands are put behind all others; in version 2, where frozen processes die,
        they are killed in slices as well. `kill` does the same. Raises nothing: in a
        guest that has no place for a thread or a file, the kill comes all the same.
        """
        ...

    async def kill(self) -> bool:
        """Send SIGKILL to every process, also to those that are forked meanwhile.

        Thaws every cgroup where a frozen process does not die. Returns True if no
        process is left now; those that are may have begun to end.
        """
        ...

    async def wait_for_empty(self) -> None:
        """Return when no process is left."""
        ...

    async def freeze(self, timeout: float) -> None:
        """Stop every process, and return when the kernel reports it.

        Raises `Timeout` after `timeout` seconds, `Unavailable` without a freezer, and
        `InvalidState` if a kill has begun. The processes go on then.
        """
        ...

    async def thaw(self) -> None:
        """Let every process go on, less those that the container froze itself.

        Raises `Unavailable` without a freezer.
        """
        ...

    async def thaw_nested(self, ended: Callable[[], Awaitable[object]]) -> None:
        """Let processes go on that the container froze itself, if they hold up a kill.

        Returns when `ended`, which waits for the killed process, does, or after a few
        attempts.
        """
        ...

    def stats(self) -> agent_pb2.CgroupStats:
        """Read the statistics; those of a missing controller stay unset. May block."""
        ...

    def remove_limit(self, limit: str) -> None:
        """Remove one limit (`memory.limit` ...: the keys of `UNLIMITED`). May block.

        If this kernel has no such limit, do nothing.
        """
        ...

    def watch_oom(self, on_kill: Callable[[], None]) -> Callable[[], None]:
        """Call `on_kill` once for each OOM kill; return a function that ends that."""
        ...

    def try_remove(self) -> bool:
        """Remove the empty cgroup and those below it; tell whether all are gone.

        None is fine. May block.
        """
        ...

    async def remove(self) -> None:
        """Do the same, again for a moment if some are in use.

        Raises `OSError` if a process stays in one.
        """
        ...
