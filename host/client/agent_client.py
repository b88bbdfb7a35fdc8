# SPDX-License-Identifier: Apache-2.0
"""A typed client of the agent, for scripts and for `kata-agent-ctl`.

    async with await AgentClient.connect("hvsock:///run/vm.sock:1024") as client:
        await client.create_sandbox("sandbox")
        result = await client.run(["uname", "-a"], rootfs="/rootfs")
        print(result.status, result.stdout)

Every RPC is there as a method of `client.agent` and `client.health`, with the
request and response messages of `protos`; what is around it saves steps.
`kata_host.client.blocking_agent_client` has the same without asyncio.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from kata_host.client.container import Container
from kata_host.client.container_process import ContainerProcess, process_may_have_ended
from kata_host.client.spec import default_process, default_spec, writable_layer
from kata_host.trace.client import client_interceptor
from kata_protos import agent_pb2, health_pb2, oci_pb2
from kata_protos.agent_ttrpc import AgentServiceClient
from kata_protos.health_ttrpc import HealthClient
from ttrpc.aio import Client
from ttrpc.errors import TtrpcError
from ttrpc.interceptor import Interceptor

__all__ = ["AgentClient", "Container", "ContainerProcess", "Result", "communicate"]

CONNECT_TIMEOUT: Final = 30.0
"""Seconds, as the Kata runtime has it."""


@dataclass(frozen=True, slots=True)
class Result:
    """What a command has left."""

    status: int
    """Its exit status, or 128+n when signal n ended it."""
    stdout: bytes
    stderr: bytes


class AgentClient:
    """One connection to an agent."""

    def __init__(self, client: Client) -> None:
        self.agent = AgentServiceClient(client)
        self.health = HealthClient(client)
        self._client = client

    @classmethod
    async def connect(
        cls,
        address: str,
        *,
        timeout: float = CONNECT_TIMEOUT,
        interceptors: Sequence[Interceptor] = (),
    ) -> Self:
        """Connect to the agent at `address`.

        Tries for up to `timeout` seconds: a guest that is booting does not listen.
        Each call takes the caller's span along (`kata_host.trace.client`).

        Raises `OSError`.
        """
        around = (client_interceptor, *interceptors)
        return cls(await Client.connect(address, timeout=timeout, interceptors=around))

    async def close(self) -> None:
        await self._client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def check(self, timeout: float | None = None) -> None:
        """Ask whether the agent serves; raises `StatusError` if it does not."""
        await self.health.check(health_pb2.CheckRequest(), timeout=timeout)

    async def create_sandbox(
        self, sandbox_id: str, *, hostname: str = "", share_pids: bool = True
    ) -> None:
        await self.agent.create_sandbox(
            agent_pb2.CreateSandboxRequest(
                sandbox_id=sandbox_id,
                hostname=hostname or sandbox_id,
                sandbox_pidns=share_pids,
            )
        )

    async def destroy_sandbox(self) -> None:
        await self.agent.destroy_sandbox(agent_pb2.DestroySandboxRequest())

    async def create_container(
        self,
        container_id: str,
        spec: oci_pb2.Spec,
        storages: Iterable[agent_pb2.Storage] = (),
        *,
        share_pids: bool = True,
    ) -> Container:
        """Create a container, in the pid namespace that the sandbox shares.

        Without `share_pids` its init process is PID 1 of a namespace of its own:
        signals that it does not handle do nothing to it then, kill(2).
        """
        await self.agent.create_container(
            agent_pb2.CreateContainerRequest(
                container_id=container_id,
                exec_id=container_id,
                OCI=spec,
                storages=storages,
                sandbox_pidns=share_pids,
            )
        )
        return Container(self.agent, container_id)

    @contextlib.asynccontextmanager
    async def started_container(
        self,
        container_id: str,
        spec: oci_pb2.Spec,
        storages: Iterable[agent_pb2.Storage] = (),
        *,
        share_pids: bool = True,
    ) -> AsyncIterator[Container]:
        """Create and start a container for the block, and remove it after."""
        container = await self.create_container(
            container_id, spec, storages, share_pids=share_pids
        )
        try:
            await container.start()
            yield container
        except BaseException:
            # What went wrong first is what the caller needs to know.
            with contextlib.suppress(TtrpcError):
                await container.remove()
            raise
        await container.remove()

    def container(self, container_id: str) -> Container:
        """Return a container that somebody else has created."""
        return Container(self.agent, container_id)

    async def run(
        self,
        args: Sequence[str],
        *,
        rootfs: str,
        input: bytes = b"",
        env: Mapping[str, str] | None = None,
        cwd: str = "/",
        container_id: str | None = None,
    ) -> Result:
        """Run a command in a container of its own, which is removed afterwards.

        `rootfs` is a directory in the guest; what the command writes does not
        reach it.
        """
        name = container_id or new_id()
        process = default_process(args, env=env, cwd=cwd)
        storage, root = writable_layer(name, rootfs)
        spec = default_spec(name, process, rootfs=root)
        async with self.started_container(name, spec, [storage]) as container:
            return await communicate(container.init, input)


async def communicate(process: ContainerProcess, input: bytes = b"") -> Result:
    """Feed a process, collect what it says, and wait for its end."""

    async def feed() -> None:
        with process_may_have_ended():
            await process.write_stdin(input)
            await process.close_stdin()

    feeding = asyncio.create_task(feed())
    try:
        stdout, stderr = await asyncio.gather(
            _collect(process.read_stdout()), _collect(process.read_stderr())
        )
        return Result(await process.wait(), stdout, stderr)
    finally:
        feeding.cancel()
        await asyncio.wait([feeding])


def new_id(prefix: str = "run") -> str:
    """Return a container id that nobody else has."""
    return f"{prefix}-{os.urandom(6).hex()}"


async def _collect(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])
