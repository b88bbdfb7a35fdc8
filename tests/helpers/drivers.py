# SPDX-License-Identifier: Apache-2.0
"""A storage driver's context, for tests that call one driver alone."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

import pytest

from kata_agent.async_undo import AsyncUndo
from kata_agent.device.hotplug import Hotplug
from kata_agent.device.uevents import Uevents
from kata_agent.reaper import Reaper
from kata_agent.storage.driver_context import DriverContext
from kata_agent.storage.huge_pages import HugePages
from kata_agent.system_paths import SystemPaths
from kata_protos.agent_pb2 import Storage
from tests.helpers.sysfs import Sysfs


@contextlib.asynccontextmanager
async def open_context(
    paths: SystemPaths | None = None,
    *,
    hotplug: Hotplug | None = None,
    container_id: str | None = "c1",
) -> AsyncIterator[DriverContext]:
    """A context whose cleanup runs at the end of the block."""
    if hotplug is None:
        paths = paths or SystemPaths()
        hotplug = Hotplug(paths, Uevents(paths), timeout=3)

    async def require(storage: Storage) -> None:
        raise AssertionError(f"another storage is required: {storage}")

    with Reaper() as reaper:
        cleanup = AsyncUndo()
        try:
            yield DriverContext(
                hotplug,
                reaper,
                container_id,
                cleanup,
                require,
                HugePages(hotplug.paths),
            )
        finally:
            await cleanup.close()


async def add_disk(
    driver: ModuleType, sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch, source: str
) -> Path:
    """Add the storage `source` by a driver of disks; return the node to be mounted."""
    mounted: list[Path] = []

    async def mount(storage: Storage, context: DriverContext, node: Path) -> None:
        mounted.append(node)

    monkeypatch.setattr(driver, "mount_disk", mount)
    async with open_context(hotplug=sysfs.hotplug(0.5)) as context:
        await driver.add(Storage(source=source), context)
    (node,) = mounted
    return node
