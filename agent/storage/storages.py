# SPDX-License-Identifier: Apache-2.0
"""Storages: what the host wants mounted, for one container or for the sandbox.

Each driver has a file here with a function that puts a storage in place. A new
one is that file and a line in `HANDLERS`.

A mount point is used by any number of containers: the first use mounts, the
last release unmounts. A storage that several containers of a pod go through one
after the other (an emptyDir survives their restarts) stays until the sandbox
ends, and so does what the sandbox itself asked for.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final, Protocol

from kata_agent.blocking import blocking
from kata_agent.device.hotplug import Hotplug
from kata_agent.errors import InvalidArgument
from kata_agent.linux.mount import MS_REMOUNT, parse_options
from kata_agent.storage import (
    bind,
    block,
    ephemeral,
    local,
    mmio,
    ninep,
    nvdimm,
    overlayfs,
    scsi,
    virtiofs,
    watch,
)
from kata_agent.storage.context import Programs, Site
from kata_agent.storage.group import split_group
from kata_agent.storage.mount_point import place_of, remount
from kata_agent.system_paths import SystemPaths
from kata_protos.agent_pb2 import Storage
from kata_tracing import semconv
from kata_tracing.span import span

log = logging.getLogger(__name__)


class StorageHandler(Protocol):
    """Puts one kind of storage in place; `site.cleanup` undoes it."""

    async def __call__(self, storage: Storage, site: Site) -> None: ...


HANDLERS: Final[dict[str, StorageHandler]] = {
    "9p": ninep.add,
    "bind": bind.add,
    "blk": block.add,
    "ephemeral": ephemeral.add,
    "local": local.add,
    "mmioblk": mmio.add,
    "nvdimm": nvdimm.add,
    "overlayfs": overlayfs.add,
    "scsi": scsi.add,
    "virtio-fs": virtiofs.add,
    "watchable-bind": watch.add,
}
DRIVERS: Final = sorted(HANDLERS)
"""What `GetGuestDetails` calls `storage_handlers`."""
BINDS: Final = frozenset({"bind", "watchable-bind"})
"""Drivers of what is mounted already, so that no file system type is needed."""
LASTING: Final = frozenset({"ephemeral", "local"})
"""Drivers whose storages outlive the containers that use them."""


@dataclass(slots=True)
class _Entry:
    """One mount point in use, or about to be."""

    lasting: bool
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: set[str | None] = field(default_factory=set)
    """Container ids; None is the sandbox."""
    cleanup: AsyncExitStack | None = None
    """None until the storage is in place."""


@dataclass(frozen=True, slots=True)
class _Use:
    """What became of one storage of a request."""

    point: str
    is_new: bool
    """This user had not used it before."""
    is_first: bool
    """Nobody had: it was put in place."""


class Storages:
    """Every storage of the sandbox, by mount point."""

    def __init__(self, hotplug: Hotplug, reaper: Programs) -> None:
        self._paths = hotplug.paths
        self._hotplug = hotplug
        self._programs = reaper
        self._entries: dict[str, _Entry] = {}

    async def add(
        self, messages: Sequence[Storage], container_id: str | None
    ) -> list[str]:
        """Put storages in place, in order, and return their mount points.

        `container_id` is None for the sandbox's own. When one fails, those that
        the call had put in place before are released again.
        """
        for message in messages:
            check(self._paths, message)
        begun: list[_Use] = []
        try:
            for message in messages:
                use = await self._add(message, container_id)
                if use.is_new:
                    begun.append(use)
        except BaseException:
            for use in reversed(begun):
                # An emptyDir that was there before this container stays.
                await self._release_logged(
                    use.point, container_id, even_lasting=use.is_first
                )
            raise
        return [message.mount_point for message in messages]

    async def update_ephemeral(self, messages: Sequence[Storage]) -> None:
        """Mount `ephemeral` storages, or change the options of mounted ones."""
        for message in messages:
            if message.driver != "ephemeral":
                raise InvalidArgument(
                    f"storage {message.mount_point!r}: "
                    f"driver {message.driver!r} is not ephemeral"
                )
            given, _ = split_group(list(message.options))
            options = parse_options(given)
            if options.flags & MS_REMOUNT:
                place = place_of(self._paths, message.mount_point)
                await blocking(remount, place, options)
            else:
                await self.add([message], None)

    async def remove_for(self, container_id: str) -> None:
        """Release what the container used; unmount what nobody uses any more.

        Goes on after a failure, and raises the first one at the end.
        """
        await self._release_all(
            [
                (point, container_id)
                for point, entry in self._entries.items()
                if container_id in entry.users
            ]
        )

    async def remove_all(self) -> None:
        """Release everything, at the end of the sandbox; errors as `remove_for`."""
        await self._release_all(
            [
                (point, user)
                for point, entry in self._entries.items()
                for user in list(entry.users) or [None]
            ],
            even_lasting=True,
        )

    async def _add(self, storage: Storage, user: str | None) -> _Use:
        """Use a storage, and put it in place if it is not."""
        point = str(place_of(self._paths, storage.mount_point))
        while True:
            lasting = storage.shared or storage.driver in LASTING
            entry = self._entries.setdefault(point, _Entry(lasting))
            async with entry.lock:
                if self._entries.get(point) is not entry:
                    # Released, or failed, while we waited for it.
                    continue
                is_first = entry.cleanup is None
                if is_first:
                    try:
                        entry.cleanup = await self._put_in_place(storage, user)
                    except BaseException:
                        del self._entries[point]
                        raise
                    # Behind those that it required, for the order of removal.
                    self._entries[point] = self._entries.pop(point)
                use = _Use(point, user not in entry.users, is_first)
                entry.users.add(user)
                return use

    async def _put_in_place(self, storage: Storage, user: str | None) -> AsyncExitStack:
        with span(
            "storage.add",
            {
                semconv.STORAGE_DRIVER: storage.driver,
                semconv.STORAGE_POINT: storage.mount_point,
            },
            subsystem="storage",
        ):
            async with AsyncExitStack() as cleanup:
                site = Site(
                    self._paths,
                    self._hotplug,
                    self._programs,
                    user,
                    cleanup,
                    self._require,
                )
                await HANDLERS[storage.driver](storage, site)
                return cleanup.pop_all()

    async def _require(self, storage: Storage) -> None:
        await self._add(storage, None)

    async def _release(
        self, point: str, user: str | None, *, even_lasting: bool
    ) -> None:
        entry = self._entries.get(point)
        if entry is None:
            return
        async with entry.lock:
            if self._entries.get(point) is not entry:
                return
            entry.users.discard(user)
            if entry.users or (entry.lasting and not even_lasting):
                return
            del self._entries[point]
            if entry.cleanup is not None:
                with span(
                    "storage.remove",
                    {semconv.STORAGE_POINT: point},
                    subsystem="storage",
                ):
                    await entry.cleanup.aclose()

    async def _release_logged(
        self, point: str, user: str | None, *, even_lasting: bool
    ) -> Exception | None:
        try:
            await self._release(point, user, even_lasting=even_lasting)
        except Exception as error:
            log.warning("storage %s: not released: %s", point, error)
            return error
        return None

    async def _release_all(
        self, uses: list[tuple[str, str | None]], *, even_lasting: bool = False
    ) -> None:
        errors = []
        # What was mounted last may be inside what was mounted first.
        for point, user in reversed(uses):
            error = await self._release_logged(point, user, even_lasting=even_lasting)
            if error is not None:
                errors.append(error)
        if errors:
            raise errors[0]


def check(paths: SystemPaths, storage: Storage) -> None:
    """Raise `InvalidArgument` for a storage that cannot be meant."""
    what = f"storage {storage.mount_point!r}"
    if storage.driver not in HANDLERS:
        raise InvalidArgument(f"{what}: unknown driver {storage.driver!r}")
    if not storage.mount_point:
        raise InvalidArgument(f"{what}: no mount point")
    place_of(paths, storage.mount_point)
    if storage.driver == "local":
        return
    if not storage.fstype and storage.driver not in BINDS:
        raise InvalidArgument(f"{what}: no file system type")
    if not storage.source and storage.driver not in ("ephemeral", "overlayfs"):
        raise InvalidArgument(f"{what}: no source")
