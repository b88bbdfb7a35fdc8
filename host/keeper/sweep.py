# SPDX-License-Identifier: Apache-2.0
"""Removes containers whose command was killed and would have removed them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from kata_host.guest import registry
from kata_host.keeper.record import ContainerRecord, ContainerState
from kata_host.keeper.records import forget

if TYPE_CHECKING:
    from kata_host.client import AgentClient

TIMEOUT = 2.0
"""Seconds that an agent has for it; the next command tries again."""


async def remove_abandoned(
    containers: Iterable[tuple[ContainerRecord, ContainerState]],
) -> Sequence[ContainerRecord]:
    """Remove the abandoned among `containers`; return those that are gone."""
    gone = []
    for record, state in containers:
        if state is ContainerState.LOST and record.remove:
            if await _is_removed(record):
                await asyncio.to_thread(forget, record.guest, record.id)
                gone.append(record)
    return gone


async def _is_removed(record: ContainerRecord) -> bool:
    from kata_host.client import AgentClient
    from ttrpc.errors import TtrpcError

    # The guest may end meanwhile, and its containers with it.
    with contextlib.suppress(TtrpcError, OSError, registry.GuestNotFound):
        entry, _ = registry.find(record.guest)
        if not entry.address:
            return False
        async with AgentClient.connect(entry.address, timeout=TIMEOUT) as client:
            await remove_recorded(client, record)
        return True
    return False


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
