# SPDX-License-Identifier: Apache-2.0
"""The seam to the OCI runtime: five verbs, and nothing else of it anywhere.

Signals, waiting, statistics, freezing, process lists and OOM events never touch
the runtime: the agent does them on pidfds and cgroupfs. `crun` is the default,
`runc` works by configuration.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from kata_agent.child import Child

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StandardFiles:
    """What a process gets as stdin, stdout and stderr: descriptors, or a terminal.

    A descriptor of None is `/dev/null`. With `console` the runtime makes the
    terminal and sends its master to that unix socket.
    """

    stdin: int | None = None
    stdout: int | None = None
    stderr: int | None = None
    console: Path | None = None


class Runtime(Protocol):
    """Runs OCI bundles. A failure is `kata_agent.errors.Internal` with the reason."""

    async def create(
        self, container_id: str, bundle: Path, files: StandardFiles
    ) -> Child:
        """Build the container; its init waits, unstarted. Return the init."""
        ...

    async def start(self, container_id: str) -> None:
        """Let the init of a created container execute its program."""
        ...

    async def exec(
        self, container_id: str, process: Json, files: StandardFiles
    ) -> Child:
        """Start another process in a container and return it."""
        ...

    async def update(self, container_id: str, resources: Json) -> None:
        """Apply OCI resources to a container's cgroup."""
        ...

    async def delete(self, container_id: str, *, force: bool = False) -> None:
        """Forget a container; with `force` kill it first, unknown is fine."""
        ...
