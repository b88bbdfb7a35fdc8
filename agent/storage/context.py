# SPDX-License-Identifier: Apache-2.0
"""What a storage driver gets to work with, besides the request itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from typing import ParamSpec, Protocol

from kata_agent.blocking import blocking
from kata_agent.device.hotplug import Hotplug
from kata_agent.errors import Internal
from kata_agent.linux.mount import MountOptions, parse_options
from kata_agent.storage.group import apply_group
from kata_agent.storage.mount_point import (
    Place,
    bind,
    is_bind,
    mount_file_system,
    place_of,
)
from kata_agent.system_paths import SystemPaths
from kata_protos.agent_pb2 import Storage
from kata_tracing import semconv
from kata_tracing.span import span

P = ParamSpec("P")


class Completed(Protocol):
    """A helper program that ended."""

    @property
    def status(self) -> int: ...
    @property
    def stdout(self) -> bytes: ...
    @property
    def stderr(self) -> bytes: ...


class Programs(Protocol):
    """Runs helper programs: `kata_agent.reaper.Reaper`."""

    async def run(
        self, argv: list[str], *, stdin: bytes = b"", timeout: float | None = None
    ) -> Completed: ...


@dataclass(frozen=True, slots=True)
class Site:
    """One storage's own view of the sandbox."""

    paths: SystemPaths
    hotplug: Hotplug
    programs: Programs
    container_id: str | None
    """None for a storage of the sandbox."""
    cleanup: AsyncExitStack
    """Undoes what the driver did, when the last user of the storage is gone."""
    require: Callable[[Storage], Awaitable[None]]
    """Puts another storage in place, for as long as the sandbox lives."""

    def place_of(self, storage: Storage) -> Place:
        """Return the storage's mount point. Raises `InvalidArgument`."""
        return place_of(self.paths, storage.mount_point)

    async def mount(
        self, storage: Storage, source: str, options: MountOptions | None = None
    ) -> None:
        """Mount `source` as the storage says, and give it to its group."""
        if options is None:
            options = parse_options(storage.options)
        place = self.place_of(storage)
        fstype = "bind" if is_bind(storage.fstype, options) else storage.fstype
        with span(
            "storage.mount", {semconv.STORAGE_FSTYPE: fstype}, subsystem="storage"
        ):
            if fstype == "bind":
                await self.keep(bind, self.paths, place, source, options)
            else:
                await self.keep(mount_file_system, place, source, fstype, options)
        if storage.HasField("fs_group"):
            await blocking(apply_group, place, storage.fs_group, options)

    async def keep(
        self, make: Callable[P, ExitStack], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Call `make` in a thread and keep the undo that it returns.

        A thread cannot be stopped: when the caller gives up meanwhile, what the
        thread still makes is kept too, to be undone with the rest.
        """
        work = asyncio.ensure_future(blocking(make, *args, **kwargs))
        try:
            undo = await asyncio.shield(work)
        except asyncio.CancelledError:
            self._undo_later(await work)
            raise
        self._undo_later(undo)

    def _undo_later(self, undo: ExitStack) -> None:
        self.cleanup.push_async_callback(blocking, undo.close)

    async def run(self, *argv: str) -> None:
        """Run a helper program. Raises `Internal` with its words when it fails."""
        result = await self.programs.run(list(argv))
        if result.status != 0:
            words = (result.stderr or result.stdout).decode(errors="replace").strip()
            raise Internal(f"{argv[0]}: exit status {result.status}: {words}")
