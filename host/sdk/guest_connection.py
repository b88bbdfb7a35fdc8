# SPDX-License-Identifier: Apache-2.0
"""The agent of a guest, and how an error of it is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

from kata_host.client.agent_client import AgentClient
from kata_host.client.identifier import new_id
from kata_host.client.start_failure import StartFailure, start_failure
from kata_host.errors import (
    AgentError,
    CannotExecute,
    FileError,
    GuestEnded,
    NotFound,
    SandboxError,
)
from kata_host.explain import explain
from kata_host.network import Network
from kata_host.printable import printable
from kata_host.sdk.thread_guest import ENDING_PATIENCE, ThreadGuest
from ttrpc.codes import Code
from ttrpc.errors import StatusError, TtrpcError

START_TIMEOUT: Final = 120.0
"""Seconds to try to reach the agent of a guest that has started: a VM without KVM needs
most of them."""
_END_CHECK_INTERVAL: Final = 0.05


class GuestConnection:
    """A connection to the agent of a guest, which may be one of this process."""

    def __init__(
        self,
        address: str,
        client: AgentClient,
        held: ThreadGuest | None = None,
        network: Network = "none",
        guest: str | None = None,
    ) -> None:
        self.address = address
        """That of the agent."""
        self.guest = guest
        """Its name, if it is one of `guest list`."""
        self.client = client
        self.network: Network = network
        self._held = held

    @classmethod
    async def start(
        cls, held: ThreadGuest, network: Network = "none"
    ) -> GuestConnection:
        """Start a guest with a sandbox, whose network `held` gives to it.

        Raises `SandboxError`; nothing is left then.
        """
        address = await held.start()
        try:
            client = await _connect(address, held)
        except BaseException:
            await held.stop()
            raise
        connection = cls(address, client, held, network)
        try:
            async with connection.explained():
                await client.create_sandbox(
                    new_id("guest"), share_pids=False, network=network
                )
        except BaseException:
            await connection.close()
            raise
        return connection

    @classmethod
    async def to(
        cls,
        address: str,
        timeout: float,
        network: Network = "none",
        guest: str | None = None,
    ) -> GuestConnection:
        """Connect to the agent of a guest that runs and has that network, and a name.

        Raises `GuestEnded` if no agent answers within `timeout` seconds.
        """
        try:
            client = await AgentClient.connect(address, timeout=timeout)
        except (TtrpcError, OSError) as error:
            raise GuestEnded(f"guest '{address}': {explain(error)}") from error
        return cls(address, client, network=network, guest=guest)

    async def close(self) -> None:
        """Close the connection, and end a guest that is this process's own."""
        try:
            await self.client.close()
        finally:
            if self._held is not None:
                await self._held.stop()

    @contextlib.asynccontextmanager
    async def explained(self) -> AsyncIterator[None]:
        """Raise the errors of the agent, of the connection and of this host's files as
        `SandboxError`."""
        try:
            yield
        except StatusError as error:
            raise _refusal(error) from error
        except ConnectionError as error:
            raise await self._loss(error) from error
        except TtrpcError as error:
            raise AgentError(explain(error), Code.INTERNAL) from error
        except FileNotFoundError as error:
            raise NotFound(explain(error)) from error
        except OSError as error:
            raise FileError(explain(error)) from error

    async def _loss(self, error: Exception) -> GuestEnded:
        """Return the error of a lost connection; the end of the guest is its cause."""
        ending = None
        if self._held is not None:
            ending = await self._held.ending(ENDING_PATIENCE)
        return GuestEnded(f"guest: {printable(ending or explain(error))}")


async def _connect(address: str, held: ThreadGuest) -> AgentClient:
    """Connect to the agent of a guest that has started, unless the guest ends.

    Raises `GuestEnded`.
    """
    connecting = asyncio.ensure_future(_connected(address))
    try:
        while not connecting.done():
            await asyncio.wait([connecting], timeout=_END_CHECK_INTERVAL)
            if not connecting.done() and (ending := await held.ending()):
                raise GuestEnded(f"guest: {ending}")
        return connecting.result()
    except (TtrpcError, OSError) as error:
        raise GuestEnded(f"guest '{address}': {explain(error)}") from error
    finally:
        connecting.cancel()


async def _connected(address: str) -> AgentClient:
    return await AgentClient.connect(address, timeout=START_TIMEOUT)


def _refusal(error: StatusError) -> SandboxError:
    # A guest chooses its words, and programs write them to terminals.
    message = printable(error.message)
    match start_failure(message):
        case StartFailure.NOT_FOUND:
            return NotFound(message)
        case StartFailure.NOT_EXECUTABLE:
            return CannotExecute(message)
    if error.code == Code.NOT_FOUND:
        return NotFound(message)
    return AgentError(message, error.code)
