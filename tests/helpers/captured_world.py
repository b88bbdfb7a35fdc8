# SPDX-License-Identifier: Apache-2.0
"""A local guest in which containers of real runtimes are made."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kata_host.client import AgentClient, GuestContainer
from kata_host.client.spec import writable_layer
from kata_host.guest.local_guest import LocalGuest
from kata_protos import agent_pb2
from tests.helpers.captured import copies_for, create_container_requests

REQUESTS: Final = create_container_requests()
SHARED: Final = "/run/kata-containers/shared/containers/"
SHM: Final = "/run/kata-containers/sandbox/shm"
HOSTNAME: Final = "podhost"
"""As the captured sandboxes have it."""


@dataclass(frozen=True, slots=True)
class World:
    """A guest, the one version of cgroups that it has, and its OCI runtime."""

    guest: LocalGuest
    version: str
    runtime: str

    @property
    def rootfs(self) -> Path:
        return self.guest.directory / "rootfs"


async def create_sandbox(client: AgentClient) -> None:
    """Create the sandbox as the Go shim does."""
    sandbox = agent_pb2.CreateSandboxRequest(sandbox_id="s1", hostname=HOSTNAME)
    sandbox.storages.add(
        driver="ephemeral",
        source="shm",
        fstype="tmpfs",
        options=["noexec", "nosuid", "nodev", "mode=1777", "size=67108864"],
        mount_point=SHM,
    )
    await client.agent.create_sandbox(sandbox)


def adapted(name: str, rootfs: Path) -> agent_pb2.CreateContainerRequest:
    """Return a captured request that needs no more of the host than `rootfs`."""
    request = agent_pb2.CreateContainerRequest()
    request.CopyFrom(REQUESTS[name])
    layer, _ = writable_layer(request.container_id, os.fspath(rootfs))
    layer.mount_point = request.OCI.Root.Path
    request.storages.append(layer)
    return request


async def output_of(
    client: AgentClient, request: agent_pb2.CreateContainerRequest
) -> str:
    """Run the container to its end and return its standard output."""
    async with started(client, request) as container:
        chunks = [chunk async for chunk in container.init.read_stdout()]
    return b"".join(chunks).decode()


@contextlib.asynccontextmanager
async def started(
    client: AgentClient, request: agent_pb2.CreateContainerRequest
) -> AsyncIterator[GuestContainer]:
    """Create and start the container for the block, and remove it after."""
    for copy in copies_for(request, SHARED):
        await client.agent.copy_file(copy)
    await client.agent.create_container(request)
    container = client.container(request.container_id)
    try:
        await container.start()
        yield container
    finally:
        await container.remove()
