# SPDX-License-Identifier: Apache-2.0
"""A connection to an agent, with methods for the tasks of most scripts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Final, Self, TypeVar

from google.protobuf.message import Message

from kata_host.client.connecting import Connecting
from kata_host.client.ended_start import start_or_end
from kata_host.client.guest_container import GuestContainer
from kata_host.client.identifier import new_id
from kata_host.client.result import Result
from kata_host.client.spec import default_process, default_spec, writable_layer
from kata_host.client.user_network import DNS, connect_guest
from kata_host.network import Network
from kata_host.trace.client_interceptor import client_interceptor
from kata_protos import agent_pb2, health_pb2, oci_pb2
from kata_protos.agent_ttrpc import AgentServiceClient
from kata_protos.health_ttrpc import HealthClient
from ttrpc.aio import Client
from ttrpc.errors import Closed, TtrpcError
from ttrpc.interceptor import Interceptor
from ttrpc.service import Method

RequestT = TypeVar("RequestT", bound=Message)
ResponseT = TypeVar("ResponseT", bound=Message)

CONNECT_TIMEOUT: Final = 30.0
"""Seconds, as the Kata runtime has it."""
REFUSAL_TIMEOUT: Final = 1.0
"""Seconds in which an agent refuses a container whose id is in use."""


class AgentClient:
    """One connection to an agent.

    `agent` and `health` have every RPC; the methods here save steps. Each of them
    raises `StatusError` if the agent refuses, and `Closed` if the connection is lost.
    """

    def __init__(self, client: Client) -> None:
        self.agent = AgentServiceClient(client)
        self.health = HealthClient(client)
        self._client = client

    @classmethod
    def connect(
        cls,
        address: str,
        *,
        timeout: float | None = CONNECT_TIMEOUT,
        interceptors: Sequence[Interceptor] = (),
    ) -> Connecting[Self]:
        """Connect to the agent at `address` (`ttrpc.address` has its forms).

            async with AgentClient.connect(address) as client: ...
            client = await AgentClient.connect(address)

        Tries again for up to `timeout` seconds, because the agent of a guest that is
        booting does not listen yet; None tries once. Each call carries the caller's
        span (`kata_host.trace.client_interceptor`).

        Raises `ValueError` if `address` is not an address, and `Closed` if no agent
        answers there.
        """
        return Connecting(cls._connect(address, timeout, interceptors))

    @classmethod
    async def _connect(
        cls, address: str, timeout: float | None, interceptors: Sequence[Interceptor]
    ) -> Self:
        around = (client_interceptor, *interceptors)
        return cls(await Client.connect(address, timeout=timeout, interceptors=around))

    async def close(self) -> None:
        """Close the connection; the calls in flight fail."""
        await self._client.close()

    async def wait_closed(self) -> Closed:
        """Wait for the end of the connection, by either side; return its cause."""
        return await self._client.wait_closed()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def call(
        self,
        method: Method[RequestT, ResponseT],
        request: RequestT,
        *,
        timeout: float | None = None,
    ) -> ResponseT:
        """Call any method of the agent's services; wait up to `timeout` seconds."""
        return await self._client.call(method, request, timeout=timeout)

    async def check(self, timeout: float | None = None) -> None:
        """Ask whether the agent serves; wait up to `timeout` seconds for the answer."""
        await self.health.check(health_pb2.CheckRequest(), timeout=timeout)

    async def version(
        self, timeout: float | None = None
    ) -> health_pb2.VersionCheckResponse:
        """Return the versions of the API and of the agent."""
        return await self.health.version(health_pb2.CheckRequest(), timeout=timeout)

    async def create_sandbox(
        self,
        sandbox_id: str,
        *,
        hostname: str = "",
        share_pids: bool = True,
        network: Network = "none",
    ) -> None:
        """Create the guest's sandbox, of which there is one at a time.

        `hostname` is the id by default. With `share_pids`, the sandbox has a pid
        namespace that its containers may share. `network` is that with which the guest
        was started; the interface of `user` is configured.
        """
        await self.agent.create_sandbox(
            agent_pb2.CreateSandboxRequest(
                sandbox_id=sandbox_id,
                hostname=hostname or sandbox_id,
                sandbox_pidns=share_pids,
                dns=DNS if network == "user" else (),
            )
        )
        if network == "user":
            await connect_guest(self.agent)

    async def destroy_sandbox(self) -> None:
        """Remove every container and end the agent, and the guest with it."""
        await self.agent.destroy_sandbox(agent_pb2.DestroySandboxRequest())

    async def create_container(
        self,
        container_id: str,
        spec: oci_pb2.Spec,
        storages: Iterable[agent_pb2.Storage] = (),
        *,
        user: agent_pb2.StringUser | None = None,
        share_pids: bool = True,
    ) -> GuestContainer:
        """Create a container; by default in the pid namespace that the sandbox shares.

        A `user` is looked up in the guest, and replaces that of the specification.
        Without `share_pids`, its first process is PID 1 of a namespace of its own, so
        signals that the process does not handle have no effect (man 2 kill). A caller
        that is cancelled has the container removed, unless that takes longer than
        `ENDING_TIMEOUT`.
        """
        request = agent_pb2.CreateContainerRequest(
            container_id=container_id,
            exec_id=container_id,
            string_user=user,
            OCI=spec,
            storages=storages,
            sandbox_pidns=share_pids,
        )
        terminal = spec.Process.Terminal
        container = GuestContainer(self.agent, container_id, terminal=terminal)

        async def end(call: asyncio.Future[Any]) -> None:
            # Meanwhile the agent refuses an id that is another container's.
            await asyncio.wait([call], timeout=REFUSAL_TIMEOUT)
            if not call.done() or call.exception() is None:
                await container.remove()

        await start_or_end(self.agent.create_container(request), end)
        return container

    @contextlib.asynccontextmanager
    async def started_container(
        self,
        container_id: str,
        spec: oci_pb2.Spec,
        storages: Iterable[agent_pb2.Storage] = (),
        *,
        user: agent_pb2.StringUser | None = None,
        share_pids: bool = True,
    ) -> AsyncIterator[GuestContainer]:
        """Create and start a container for the block, and remove it afterwards."""
        container = await self.create_container(
            container_id, spec, storages, user=user, share_pids=share_pids
        )
        try:
            await container.start()
            yield container
        except BaseException:
            # The caller needs the first error, not one of the removal.
            with contextlib.suppress(TtrpcError):
                await container.remove()
            raise
        await container.remove()

    def container(self, container_id: str, *, terminal: bool = False) -> GuestContainer:
        """Return a container that exists already, without asking the agent.

        `terminal` says that its first process is on one.
        """
        return GuestContainer(self.agent, container_id, terminal=terminal)

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
        """Run a command to its end, in a container of its own.

        `rootfs` is a directory in the guest; the command's changes to it are dropped
        with the container.
        """
        name = container_id or new_id()
        process = default_process(args, env=env, cwd=cwd)
        storage, root = writable_layer(name, rootfs)
        spec = default_spec(name, process, rootfs=root)
        async with self.started_container(name, spec, [storage]) as container:
            return await container.init.communicate(input)
