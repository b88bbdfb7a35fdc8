# SPDX-License-Identifier: Apache-2.0
"""Records of a program's containers in a guest of `guest list`, which outlives it.

`kata-agent-ctl ps` shows them, and its other commands find them. When the program is
killed, the next command, or the next program that connects to the guest, removes them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from kata_host.client.agent_client import AgentClient
from kata_host.client.limits import Limits
from kata_host.client.spec import NO_LIMITS
from kata_host.sdk.command import REMOVAL_TIMEOUT
from kata_host.sdk.container_request import ContainerRequest
from kata_host.sdk.guest_connection import GuestConnection
from kata_host.sdk.volume import READ_ONLY, Volumes
from kata_host.uncancelled import uncancelled
from ttrpc.errors import TtrpcError

if TYPE_CHECKING:
    from kata_host.keeper.held_record import HeldRecord
    from kata_host.keeper.record import ContainerRecord


@contextlib.asynccontextmanager
async def recorded(
    connection: GuestConnection,
    request: ContainerRequest,
    image: str | os.PathLike[str] | None = None,
    limits: Limits = NO_LIMITS,
    volumes: Volumes | None = None,
) -> AsyncIterator[None]:
    """Have a record of a container during the block, which makes and removes it.

    Only in a guest of `guest list`. Raises `OSError` if there is no room for one.
    """
    if connection.guest is None:
        yield
        return
    record = _record(connection.guest, request, image, limits, volumes or {})
    hold = _Hold(record)
    try:
        await uncancelled(asyncio.to_thread(hold.make))
        yield
    except BaseException:
        if await uncancelled(_is_removed(connection.client, record)):
            await uncancelled(asyncio.to_thread(hold.remove))
        raise
    else:
        await uncancelled(asyncio.to_thread(hold.remove))
    finally:
        hold.close()


class _Hold:
    """A record from `make` to `remove`, or to the end of the program."""

    def __init__(self, record: ContainerRecord) -> None:
        self._record = record
        self._held: HeldRecord | None = None

    def make(self) -> None:
        from kata_host.keeper.held_record import HeldRecord

        # A guest that has ended has no folder, and its agent does not answer.
        with contextlib.suppress(FileNotFoundError):
            self._held = HeldRecord.create(self._record)

    def remove(self) -> None:
        if self._held is not None:
            self._held.remove()

    def close(self) -> None:
        if self._held is not None:
            self._held.close()


def _record(
    guest: str,
    request: ContainerRequest,
    image: str | os.PathLike[str] | None,
    limits: Limits,
    volumes: Volumes,
) -> ContainerRecord:
    from kata_host.keeper.record import ContainerRecord

    now = time.time()
    process = request.spec.Process
    return ContainerRecord(
        request.id,
        guest,
        command=list(process.Args),
        rootfs="the guest's" if image is None else os.fspath(image),
        created=now,
        # It starts in a moment.
        started=now,
        cwd=process.Cwd,
        user=process.User.Username or f"{process.User.UID}:{process.User.GID}",
        remove=True,
        volumes=[_words(target, os.fspath(it)) for target, it in volumes.items()],
        memory=limits.memory_bytes(),
        cpus=limits.cpus or 0,
        pids=limits.pids or 0,
    )


def _words(target: str, source: str) -> str:
    """Return a volume as `kata-agent-ctl run -v` takes it."""
    end = READ_ONLY if source.endswith(READ_ONLY) else ""
    return f"{source.removesuffix(READ_ONLY)}:{target}{end}"


async def _is_removed(client: AgentClient, record: ContainerRecord) -> bool:
    """Make sure that a block which has failed leaves no container."""
    from kata_host.keeper.sweep import remove_recorded

    with contextlib.suppress(TtrpcError, TimeoutError, OSError):
        async with asyncio.timeout(REMOVAL_TIMEOUT):
            await remove_recorded(client, record)
        return True
    return False
