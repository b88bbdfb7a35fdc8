# SPDX-License-Identifier: Apache-2.0
"""All that a storage driver works with, besides the request itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Concatenate, ParamSpec

from kata_agent.async_undo import AsyncUndo
from kata_agent.blocking import blocking, uninterrupted
from kata_agent.device.hotplug import Hotplug
from kata_agent.errors import Internal
from kata_agent.linux.mount_options import MountOptions, parse_options
from kata_agent.reaper import Reaper
from kata_agent.storage.group import apply_group
from kata_agent.storage.huge_pages import HugePages
from kata_agent.storage.mount_point import MountPoint, parse_mount_point
from kata_agent.storage.mounts import bind, mount_file_system
from kata_agent.system_paths import SystemPaths
from kata_agent.undo import Undo
from kata_protos.agent_pb2 import Storage
from kata_tracing import semconv
from kata_tracing.span import span

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class DriverContext:
    """Made anew for each storage that is put in place."""

    hotplug: Hotplug
    reaper: Reaper
    """Runs helper programs."""
    container_id: str | None
    """None for a storage of the sandbox."""
    cleanup: AsyncUndo
    """Undoes the driver's work when the last user of the storage is gone."""
    require: Callable[[Storage], Awaitable[None]]
    """Puts another storage in place, which stays until the sandbox ends."""
    huge_pages: HugePages

    @property
    def paths(self) -> SystemPaths:
        return self.hotplug.paths

    def mount_point_of(self, storage: Storage) -> MountPoint:
        """Return the storage's mount point. Raises `InvalidArgument`."""
        return parse_mount_point(self.paths, storage.mount_point)

    async def mount(
        self,
        storage: Storage,
        source: str,
        options: MountOptions | None = None,
        *,
        fstype: str = "",
    ) -> None:
        """Mount `source` as the storage says, and give its files to `fs_group`.

        `options` and `fstype` replace those of the storage. The type `bind` binds, and
        for other types the option `bind` has no meaning: volume plugins set it for
        disks, too. Raises `AgentError` or `OSError`.
        """
        if options is None:
            options = parse_options(storage.options)
        fstype = fstype or storage.fstype
        point = self.mount_point_of(storage)
        with span(
            "storage.mount", {semconv.STORAGE_FSTYPE: fstype}, subsystem="storage"
        ):
            if fstype == "bind":
                await self.keep(bind, self.paths, point, source, options)
            else:
                await self.keep(mount_file_system, point, source, fstype, options)
        if storage.HasField("fs_group"):
            await blocking(apply_group, point, storage.fs_group, options)

    async def keep(
        self,
        make: Callable[Concatenate[Undo, P], None],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> None:
        """Call `make` in a thread, with an undo that is part of `cleanup`.

        A caller that is cancelled waits for the thread: then the undo knows everything.
        """
        undo = Undo()
        self.cleanup.callback(blocking, undo.close)
        await uninterrupted(make, undo, *args, **kwargs)

    async def run(self, *argv: str) -> None:
        """Run a helper program. Raises `Internal`, with the output of a failed one."""
        result = await self.reaper.run(list(argv))
        if result.status != 0:
            output = (result.stderr or result.stdout).decode(errors="replace").strip()
            raise Internal(f"{argv[0]}: exit status {result.status}: {output}")
