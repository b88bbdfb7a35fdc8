# SPDX-License-Identifier: Apache-2.0
"""`watchable-bind`: a small shared directory whose changes a container can watch.

inotify reports no change that the host makes in a shared file system. So the files (a
ConfigMap, a Secret) are copied into a tmpfs, and copied again after the host has
changed them. A directory that is too large for that is bound instead.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from kata_agent.async_undo import AsyncUndo
from kata_agent.blocking import blocking, uninterrupted
from kata_agent.errors import AgentError, InvalidArgument
from kata_agent.linux.mount_options import MountOptions
from kata_agent.storage.driver_context import DriverContext
from kata_agent.storage.mirror import Mirror, TooLarge
from kata_agent.storage.mount_point import MountPoint
from kata_agent.storage.mounts import bind
from kata_agent.system_paths import SystemPaths
from kata_agent.undo import Undo
from kata_protos.agent_pb2 import Storage

log = logging.getLogger(__name__)

DIRECTORY: Final = "watchable"
"""The name of the directory that the mount points are in; a tmpfs is mounted on it."""
INTERVAL: Final = 2.0
"""Seconds between two looks at the source."""


async def add(storage: Storage, context: DriverContext) -> None:
    """Keep a copy of `source`, an absolute path, in a directory named `watchable`.

    Options are ignored.
    """
    point = context.mount_point_of(storage)
    parent, _, _ = str(point).rpartition("/")
    if parent.rpartition("/")[2] != DIRECTORY:
        raise InvalidArgument(
            f"storage {storage.mount_point!r}: not in a directory {DIRECTORY!r}"
        )
    await context.require(
        Storage(
            driver="ephemeral",
            source="tmpfs",
            fstype="tmpfs",
            mount_point=parent,
            options=["mode=755", "nosuid", "nodev"],
        )
    )
    await Watch(context.paths, point, storage.source).start(context.cleanup)


class Watch:
    """Keeps one mount point equal to its source."""

    def __init__(self, paths: SystemPaths, point: MountPoint, source: str) -> None:
        self._paths = paths
        self._point = point
        self._source = source
        self._mirror = Mirror(paths, point, source)
        self._bound = Undo()

    async def start(self, cleanup: AsyncUndo) -> None:
        """Copy for the first time, then go on in the background until `cleanup`.

        Raises `AgentError` or `OSError` if the first copy fails.
        """
        cleanup.callback(blocking, self._mirror.remove)
        cleanup.callback(blocking, self._bound.close)
        try:
            await blocking(self._mirror.update)
        except TooLarge as reason:
            await self._bind(reason)
        else:
            cleanup.callback(_end, asyncio.create_task(self._follow()))

    async def _follow(self) -> None:
        """Copy each change, until the source is too large, or until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                if not await self._copy():
                    return
            except (OSError, AgentError) as error:
                # For example, a container has put a symlink into its copy.
                log.warning(
                    "watched directory not updated",
                    extra={"mount_point": str(self._point), "error": str(error)},
                )

    async def _copy(self) -> bool:
        """Copy each change; if the source is too large, bind it and return False."""
        try:
            await blocking(self._mirror.update)
        except TooLarge as reason:
            await self._bind(reason)
            return False
        return True

    async def _bind(self, reason: TooLarge) -> None:
        """Bind the source over the copy."""
        log.warning(
            "watched directory bound instead of copied",
            extra={"mount_point": str(self._point), "reason": str(reason)},
        )
        await uninterrupted(
            bind, self._bound, self._paths, self._point, self._source, MountOptions()
        )


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled() and (error := task.exception()):
        raise error
