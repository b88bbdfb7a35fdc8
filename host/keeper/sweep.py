# SPDX-License-Identifier: Apache-2.0
"""Removes containers, and programs in them, of commands that were killed."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kata_host.guest import registry
from kata_host.keeper.held_exec import cleans_up
from kata_host.keeper.record import ContainerRecord
from kata_host.keeper.records import forget

if TYPE_CHECKING:
    from kata_host.client import AgentClient, ContainerProcess

TIMEOUT = 2.0
"""Seconds that an agent has for it; the next command tries again."""
CLEAN_UP_TIMEOUT = 1.0
"""Seconds of it that a program has to clean up before it is killed."""


async def remove_abandoned(record: ContainerRecord) -> None:
    """Remove a container, and then what is known of it."""
    if await _is_removed(record):
        await asyncio.to_thread(forget, record.guest, record.id)


async def kill_abandoned(record: ContainerRecord, programs: Sequence[Path]) -> None:
    """Kill the programs of a container that files of `held_exec` are of."""
    from kata_host.client import ContainerProcess
    from ttrpc.errors import StatusError, TtrpcError

    with contextlib.suppress(TtrpcError, OSError, registry.GuestNotFound):
        async with _connected(record.guest) as client, asyncio.timeout(TIMEOUT):
            for path in programs:
                process = ContainerProcess(client.agent, record.id, path.name)
                # It may have ended, or never started.
                with contextlib.suppress(StatusError):
                    if await asyncio.to_thread(cleans_up, path):
                        await _clean_up(process)
                    await process.signal(signal.SIGKILL)
                    await process.wait()
                await asyncio.to_thread(path.unlink, missing_ok=True)


async def _clean_up(process: ContainerProcess) -> None:
    """Let a program remove what it has made of a part of its input."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CLEAN_UP_TIMEOUT):
            await process.close_stdin()
            await process.wait()


async def _is_removed(record: ContainerRecord) -> bool:
    from ttrpc.errors import TtrpcError

    # The guest may end meanwhile, and its containers with it.
    with contextlib.suppress(TtrpcError, OSError, registry.GuestNotFound):
        async with _connected(record.guest) as client:
            await remove_recorded(client, record)
        return True
    return False


@contextlib.asynccontextmanager
async def _connected(guest: str) -> AsyncIterator[AgentClient]:
    """Raises `GuestNotFound` for a guest that does not run yet, or any more."""
    from kata_host.client import AgentClient

    entry, _ = registry.find(guest)
    if not entry.address:
        raise registry.GuestNotFound(f"guest '{guest}': not running")
    async with AgentClient.connect(entry.address, timeout=TIMEOUT) as client:
        yield client


async def remove_recorded(client: AgentClient, record: ContainerRecord) -> None:
    """Remove a container, which the agent has not if its command was killed early.

    Raises `TtrpcError`.
    """
    from ttrpc.codes import Code
    from ttrpc.errors import StatusError

    try:
        await client.container(record.id).remove()
    except StatusError as error:
        if error.code not in (Code.NOT_FOUND, Code.INVALID_ARGUMENT):
            raise
