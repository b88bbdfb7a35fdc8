# SPDX-License-Identifier: Apache-2.0
"""`watchable-bind`: a small shared directory whose changes a container can watch.

inotify sees nothing of what the host changes in a shared file system. So the
files (a ConfigMap, a Secret) are copied into a tmpfs, and copied again when the
host has changed them. What is too large for that is bound as it is.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack, ExitStack
from typing import Final

from kata_agent.blocking import blocking
from kata_agent.errors import AgentError, InvalidArgument
from kata_agent.linux.mount import MountOptions
from kata_agent.storage.context import Site
from kata_agent.storage.mirror import Mirror, TooLarge
from kata_agent.storage.mount_point import Place, bind
from kata_agent.system_paths import SystemPaths
from kata_protos.agent_pb2 import Storage

log = logging.getLogger(__name__)

DIRECTORY: Final = "watchable"
"""What the directory of the mount points is called; a tmpfs is mounted on it."""
INTERVAL: Final = 2.0
"""Seconds between two looks at the source."""


async def add(storage: Storage, site: Site) -> None:
    place = site.place_of(storage)
    parent, _, _ = str(place).rpartition("/")
    if parent.rpartition("/")[2] != DIRECTORY:
        raise InvalidArgument(
            f"storage {storage.mount_point!r}: not in a directory {DIRECTORY!r}"
        )
    await site.require(
        Storage(
            driver="ephemeral",
            source="tmpfs",
            fstype="tmpfs",
            mount_point=parent,
            options=["mode=755", "nosuid", "nodev"],
        )
    )
    watch = Watch(site.paths, place, storage.source)
    site.cleanup.push_async_exit(await watch.start())


class Watch:
    """Keeps one mount point like its source."""

    def __init__(self, paths: SystemPaths, place: Place, source: str) -> None:
        self._paths = paths
        self._place = place
        self._source = source
        self._mirror = Mirror(paths, place, source)

    async def start(self) -> AsyncExitStack:
        """Copy for the first time, then go on in the background; return the undo."""
        async with AsyncExitStack() as cleanup:
            cleanup.push_async_callback(blocking, self._mirror.remove)
            try:
                await blocking(self._mirror.update)
            except TooLarge as reason:
                cleanup.push_async_callback(blocking, (await self._bind(reason)).close)
            else:
                task = asyncio.create_task(self._follow())
                cleanup.push_async_callback(_end, task)
            return cleanup.pop_all()

    async def _follow(self) -> None:
        """Copy what has changed, until cancelled; undo what is left then."""
        with_undo = ExitStack()
        try:
            while True:
                await asyncio.sleep(INTERVAL)
                try:
                    await blocking(self._mirror.update)
                except TooLarge as reason:
                    with_undo = await self._bind(reason)
                    await asyncio.Event().wait()
                except (OSError, AgentError) as error:
                    # What a container has done to its copy, say.
                    log.warning("watched %s: not updated: %s", self._place, error)
        finally:
            await blocking(with_undo.close)

    async def _bind(self, reason: TooLarge) -> ExitStack:
        log.warning("watched %s: bound instead of copied: %s", self._place, reason)
        work = asyncio.ensure_future(
            blocking(bind, self._paths, self._place, self._source, MountOptions())
        )
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            # A thread cannot be stopped: what it still binds is undone here.
            await blocking((await work).close)
            raise


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled() and (error := task.exception()):
        raise error
