# SPDX-License-Identifier: Apache-2.0
"""The place of one worker: a guest, names for containers, and chance."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from bench.stage import Stage, agent_pid
from kata_host.client import AgentClient, GuestContainer
from kata_host.client.spec import default_process, default_spec, writable_layer
from kata_protos import agent_pb2, oci_pb2
from ttrpc.codes import Code
from ttrpc.errors import StatusError

PATIENCE: Final = 30.0
"""Seconds within which each step of an action must end."""
GONE: Final = (Code.NOT_FOUND, Code.INVALID_ARGUMENT)
"""Codes of an answer for a container that does not exist; Kata has the second."""


@dataclass(frozen=True, slots=True)
class Scene:
    """An action's: its `name` is new, and no other action has its `slot`."""

    stage: Stage
    name: str
    slot: int
    random: Random
    pause_lock: asyncio.Lock
    """Held by the one action of the guest that uses the pause process."""

    @property
    def client(self) -> AgentClient:
        return self.stage.client

    def spec(self, *args: str) -> tuple[oci_pb2.Spec, list[agent_pb2.Storage]]:
        """Return a container with a layer of its own."""
        layer, root = writable_layer(self.name, os.fspath(self.stage.rootfs))
        return default_spec(self.name, default_process(args), rootfs=root), [layer]

    def request(self, *args: str) -> agent_pb2.CreateContainerRequest:
        """Return the request that creates the container."""
        spec, storages = self.spec(*args)
        return agent_pb2.CreateContainerRequest(
            container_id=self.name, exec_id=self.name, OCI=spec, storages=storages
        )

    @contextlib.asynccontextmanager
    async def started(self, *args: str) -> AsyncIterator[GuestContainer]:
        """Create and start the container for the block, and remove it afterwards."""
        async with self.client.started_container(
            self.name, *self.spec(*args), share_pids=False
        ) as container:
            yield container

    async def remove(self) -> None:
        """Remove the container, whatever its creation has come to.

        Raises `TimeoutError` if it is not gone in time.
        """
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    await self.client.container(self.name).remove()
                except StatusError as error:
                    if error.code in GONE and "not found" in error.message:
                        return

    def children(self) -> Sequence[int]:
        """Return the host's pids of all processes whose parent is the agent."""
        pid = agent_pid(self.stage.guest)
        found: list[int] = []
        for thread in Path(f"/proc/{pid}/task").iterdir():
            # A thread may have ended meanwhile.
            with contextlib.suppress(OSError):
                found += map(int, (thread / "children").read_text().split())
        return found
