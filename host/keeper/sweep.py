# SPDX-License-Identifier: Apache-2.0
"""Removes containers whose command was killed and would have removed them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence

from kata_host.guest import registry
from kata_host.keeper.record import ContainerRecord, ContainerState
from kata_host.keeper.records import forget

TIMEOUT = 2.0
"""Seconds that an agent has for it; the next command tries again."""


async def remove_abandoned(
    containers: Iterable[tuple[ContainerRecord, ContainerState]],
) -> Sequence[ContainerRecord]:
    """Remove the abandoned among `containers`; return those that are gone."""
    gone = []
    for record, state in containers:
        if state is ContainerState.LOST and record.remove:
            entry, _ = registry.find(record.guest)
            if entry.address and await _is_removed(entry.address, record.id):
                forget(record.guest, record.id)
                gone.append(record)
    return gone


async def _is_removed(address: str, container: str) -> bool:
    from kata_host.client import AgentClient
    from ttrpc.codes import Code
    from ttrpc.errors import StatusError, TtrpcError

    with contextlib.suppress(TtrpcError, OSError):
        async with AgentClient.connect(address, timeout=TIMEOUT) as client:
            try:
                await client.container(container).remove()
            except StatusError as error:
                # Its command was killed before it was created.
                return error.code in (Code.NOT_FOUND, Code.INVALID_ARGUMENT)
            return True
    return False
