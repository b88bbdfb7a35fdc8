# SPDX-License-Identifier: Apache-2.0
"""The storages of a sandbox: mount points in use, and the users of each.

Any number of containers may use a mount point: the first use mounts, the last release
unmounts. A lasting storage (`StorageHandler.is_lasting`, or `shared` in the request)
stays until the sandbox ends, and so do the storages of the sandbox itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kata_agent.async_undo import AsyncUndo
from kata_agent.blocking import blocking
from kata_agent.device.hotplug import Hotplug
from kata_agent.errors import InvalidArgument
from kata_agent.linux.mount import MS_REMOUNT
from kata_agent.linux.mount_options import parse_options
from kata_agent.reaper import Reaper
from kata_agent.reserve import Reserve
from kata_agent.storage.bundle_claims import BundleClaims
from kata_agent.storage.driver_context import DriverContext
from kata_agent.storage.group import split_group
from kata_agent.storage.huge_pages import HugePages
from kata_agent.storage.mount_point import (
    MountPoint,
    find_mount_point,
    parse_mount_point,
)
from kata_agent.storage.mounts import remount
from kata_agent.system_paths import SystemPaths
from kata_protos.agent_pb2 import Storage
from kata_tracing import semconv
from kata_tracing.span import span

if TYPE_CHECKING:
    from kata_agent.storage.handlers import StorageHandler

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Entry:
    """One mount point in use, or about to be."""

    is_lasting: bool
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while the storage is put in place or removed."""
    users: set[str | None] = field(default_factory=set)
    """Container ids; None is the sandbox."""
    made_for: str | None = None
    """The user that the storage was put in place for."""
    is_in_place: bool = False
    cleanup: AsyncUndo = field(default_factory=AsyncUndo)
    """Takes away what there is, also of a storage that was put in place or removed in
    part."""


@dataclass(frozen=True, slots=True)
class _Use:
    """The outcome for one storage of a request."""

    point: MountPoint
    is_new: bool
    """Whether this user did not use the mount point before."""
    is_first: bool
    """Whether no user did, so that the storage was put in place now."""


class Storages:
    """Every storage of the sandbox, by mount point."""

    def __init__(self, hotplug: Hotplug, reaper: Reaper, reserve: Reserve) -> None:
        self._hotplug = hotplug
        self._paths = hotplug.paths
        self._reaper = reaper
        self._reserve = reserve
        self._huge_pages = HugePages(hotplug.paths)
        self._entries: dict[MountPoint, _Entry] = {}
        """In the order in which they were put in place."""
        self._claims = BundleClaims(self._paths)
        self._warned: set[tuple[str, str]] = set()
        """The drivers, and names of their options, that were warned of."""

    def claim_bundle(self, container_id: str, root: str) -> None:
        """Let nothing but its own be in a container's bundle, until `remove_for`.

        `root` is the path of its root file system. Raises `InvalidArgument` if another
        container has a storage or its root there, or `root` is in another's bundle.
        """
        used = [(point, entry.users) for point, entry in self._entries.items()]
        self._claims.claim(container_id, find_mount_point(self._paths, root), used)

    async def add(
        self, messages: Sequence[Storage], container_id: str | None
    ) -> list[str]:
        """Put storages in place, in order, and return their mount points.

        `container_id` is None for the sandbox's own. If one fails, those that this call
        has put in place are released again. Raises `AgentError` or `OSError`.
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
                # A lasting storage that was there before this container stays.
                await self._release_logged(
                    use.point, container_id, even_lasting=use.is_first
                )
            raise
        return [message.mount_point for message in messages]

    async def update_ephemeral(self, messages: Sequence[Storage]) -> None:
        """Mount `ephemeral` storages; with the option `remount`, change mounted ones.

        Raises `InvalidArgument` for another driver, and all that `add` raises.
        """
        for message in messages:
            if message.driver != "ephemeral":
                raise InvalidArgument(
                    f"storage {message.mount_point!r}: "
                    f"driver {message.driver!r} is not ephemeral"
                )
            given, _ = split_group(message.options)
            options = parse_options(given)
            if options.flags & MS_REMOUNT:
                point = parse_mount_point(self._paths, message.mount_point)
                await blocking(remount, point, options)
            else:
                await self.add([message], None)

    async def remove_for(self, container_id: str) -> None:
        """Release the container's storages; remove those without any user left.

        Goes on after a failure, and raises the first one at the end.
        """
        await self._release_all(self._uses_of(container_id))
        self._claims.release(container_id)

    async def take_back(self, container_id: str) -> None:
        """Release the storages of a container whose creation has failed.

        Lasting ones that were put in place for it go too. Errors as in `remove_for`.
        """
        uses = self._uses_of(container_id)
        made = [use for use in uses if self._entries[use[0]].made_for == container_id]
        await self._release_all(made, even_lasting=True)
        await self.remove_for(container_id)

    def _uses_of(self, container_id: str) -> list[tuple[MountPoint, str | None]]:
        return [
            (point, container_id)
            for point, entry in self._entries.items()
            if container_id in entry.users
        ]

    def is_used_by(self, container_id: str) -> bool:
        """Tell whether a container uses a storage, or parts of one are left of it."""
        return any(container_id in entry.users for entry in self._entries.values())

    async def remove_all(self) -> None:
        """Remove every storage at the end of the sandbox. Errors as in `remove_for`."""
        await self._release_all(
            [
                (point, user)
                for point, entry in self._entries.items()
                for user in list(entry.users) or [None]
            ],
            even_lasting=True,
        )

    async def _add(self, storage: Storage, user: str | None) -> _Use:
        """Add a user to a mount point; the first one puts the storage in place."""
        point = parse_mount_point(self._paths, storage.mount_point)
        self._claims.check(point, user)
        is_lasting = storage.shared or handlers()[storage.driver].is_lasting
        while True:
            entry = self._entries.setdefault(point, _Entry(is_lasting))
            async with entry.lock:
                if self._entries.get(point) is not entry:
                    # Released, or failed, while this call waited for the lock.
                    continue
                if not entry.is_in_place:
                    await self._put_in_place(storage, user, point, entry)
                    return _Use(point, is_new=True, is_first=True)
                use = _Use(point, is_new=user not in entry.users, is_first=False)
                entry.users.add(user)
                return use

    async def _put_in_place(
        self, storage: Storage, user: str | None, point: MountPoint, entry: _Entry
    ) -> None:
        """Let the driver put a storage in place, or leave nothing of it.

        If its parts cannot be taken away again, the entry stays: the removal of the
        user, or the next use of the mount point, takes them away.
        """
        # What an earlier use has left.
        await self._reserve.undo(entry.cleanup.close)
        entry.users, entry.made_for = {user}, user
        try:
            await self._call_driver(storage, user, entry.cleanup)
        except BaseException:
            try:
                await self._take_away(point, entry)
            except Exception as error:
                _log_left(point, error)
            raise
        entry.is_in_place = True
        # Behind the storages that it required, because those are removed after it.
        self._entries[point] = self._entries.pop(point)

    async def _take_away(self, point: MountPoint, entry: _Entry) -> None:
        """Undo all that was done for a storage, and end its entry."""
        entry.is_in_place = False
        await self._reserve.undo(entry.cleanup.close)
        del self._entries[point]

    async def _call_driver(
        self, storage: Storage, user: str | None, cleanup: AsyncUndo
    ) -> None:
        with span(
            "storage.add",
            {
                semconv.STORAGE_DRIVER: storage.driver,
                semconv.STORAGE_POINT: storage.mount_point,
            },
            subsystem="storage",
        ):
            context = DriverContext(
                self._hotplug,
                self._reaper,
                user,
                cleanup,
                self._require,
                self._huge_pages,
            )
            self._warn_of_options(storage)
            await handlers()[storage.driver].add(storage, context)

    def _warn_of_options(self, storage: Storage) -> None:
        """Log the driver options that have no effect, once for each driver and name."""
        known = handlers()[storage.driver].driver_options
        for option in storage.driver_options:
            # The value may be a secret.
            name = option.partition("=")[0]
            key = (storage.driver, name)
            if name not in known and key not in self._warned:
                self._warned.add(key)
                log.warning(
                    "driver option without effect",
                    extra={"driver": storage.driver, "option": name},
                )

    async def _require(self, storage: Storage) -> None:
        await self._add(storage, None)

    async def _release(
        self, point: MountPoint, user: str | None, *, even_lasting: bool
    ) -> None:
        entry = self._entries.get(point)
        if entry is None:
            return
        async with entry.lock:
            if self._entries.get(point) is not entry:
                return
            is_needed = entry.users - {user} or (entry.is_lasting and not even_lasting)
            if entry.is_in_place and is_needed:
                entry.users.discard(user)
                return
            # The user stays until all is done, so that it can try again.
            with span(
                "storage.remove",
                {semconv.STORAGE_POINT: str(point)},
                subsystem="storage",
            ):
                await self._take_away(point, entry)

    async def _release_logged(
        self, point: MountPoint, user: str | None, *, even_lasting: bool
    ) -> Exception | None:
        """Release a storage; log and return the failure, if there is one."""
        try:
            await self._release(point, user, even_lasting=even_lasting)
        except Exception as error:
            _log_left(point, error)
            return error
        return None

    async def _release_all(
        self, uses: list[tuple[MountPoint, str | None]], *, even_lasting: bool = False
    ) -> None:
        errors = []
        # Backwards, because a later mount may be inside an earlier one.
        for point, user in reversed(uses):
            error = await self._release_logged(point, user, even_lasting=even_lasting)
            if error is not None:
                errors.append(error)
        if errors:
            raise errors[0]


def _log_left(point: MountPoint, error: Exception) -> None:
    log.warning(
        "storage not released", extra={"mount_point": str(point), "error": str(error)}
    )


def handlers() -> Mapping[str, StorageHandler]:
    """Return the handler of each driver."""
    # Imported by the first request, because a start does not need the drivers.
    from kata_agent.storage.handlers import HANDLERS

    return HANDLERS


def check(paths: SystemPaths, storage: Storage) -> None:
    """Raise `InvalidArgument` for a request that no driver could carry out."""
    subject = f"storage {storage.mount_point!r}"
    handler = handlers().get(storage.driver)
    if handler is None:
        raise InvalidArgument(f"{subject}: unknown driver {storage.driver!r}")
    if not storage.mount_point:
        raise InvalidArgument(f"{subject}: no mount point")
    parse_mount_point(paths, storage.mount_point)
    if handler.needs_fstype and not storage.fstype:
        raise InvalidArgument(f"{subject}: no file system type")
    if handler.needs_source and not storage.source:
        raise InvalidArgument(f"{subject}: no source")
