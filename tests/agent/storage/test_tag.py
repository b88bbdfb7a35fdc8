# SPDX-License-Identifier: Apache-2.0
"""What is shared under a tag, with a kernel of the test's own; tests/vm has more."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from kata_agent.device.hotplug import Hotplug
from kata_agent.errors import Timeout
from kata_agent.storage import ninep, virtiofs
from kata_agent.storage.context import Site
from kata_agent.storage.mount_point import place_of
from kata_protos.agent_pb2 import Storage
from tests.helpers.sysfs import Sysfs, added

VIRTIO = "/devices/pci0000:00/0000:00:02.0/virtio5"


@dataclass
class Kernel:
    """Stands for a `Site`: knows tags, and mounts what has one."""

    sysfs: Sysfs
    missing: int
    timeout: float = 30.0
    tags: set[str] = field(default_factory=set)
    attempts: int = 0
    cleanup: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def paths(self) -> Any:
        return self.sysfs.paths

    @property
    def hotplug(self) -> Hotplug:
        return Hotplug(self.sysfs.paths, self.sysfs.uevents, self.timeout)

    def place_of(self, storage: Storage) -> Any:
        return place_of(self.sysfs.paths, storage.mount_point)

    async def mount(self, storage: Storage, source: str) -> None:
        self.attempts += 1
        if source not in self.tags:
            raise OSError(self.missing, os.strerror(self.missing))


@pytest.fixture
async def sysfs(tmp_path: Path) -> AsyncIterator[Sysfs]:
    sysfs = Sysfs(tmp_path)
    (sysfs.paths.proc / "self").mkdir()
    (sysfs.paths.proc / "self/mountinfo").write_text("")
    yield sysfs
    sysfs.uevents.close()
    sysfs.monitor.close()


def share(sysfs: Sysfs, fstype: str) -> Storage:
    point = f"{sysfs.paths.sandbox}/a"
    return Storage(source="tag", fstype=fstype, mount_point=point)


async def test_a_tag_that_is_there_needs_no_events(sysfs: Sysfs) -> None:
    kernel = Kernel(sysfs, errno.EINVAL, tags={"tag"})
    await virtiofs.add(share(sysfs, "virtiofs"), cast(Site, kernel))
    assert kernel.attempts == 1
    assert sysfs.uevents._monitor is None


@pytest.mark.parametrize(
    ("add", "fstype", "missing"),
    [(virtiofs.add, "virtiofs", errno.EINVAL), (ninep.add, "9p", errno.ENOENT)],
)
async def test_a_tag_that_comes(
    sysfs: Sysfs, add: Any, fstype: str, missing: int
) -> None:
    kernel = Kernel(sysfs, missing)
    adding = asyncio.create_task(add(share(sysfs, fstype), kernel))
    while kernel.attempts < 2:
        await asyncio.sleep(0)
    kernel.tags.add("tag")
    # Its driver has not taken it by this.
    sysfs.monitor.send(added("virtio", VIRTIO))
    for _ in range(20):
        await asyncio.sleep(0)
    assert kernel.attempts == 2
    sysfs.monitor.send(added("virtio", VIRTIO, "bind"))
    await adding
    assert kernel.attempts == 3


async def test_a_tag_that_does_not_come(sysfs: Sysfs) -> None:
    kernel = Kernel(sysfs, errno.EINVAL, timeout=0.01)
    with pytest.raises(
        Timeout,
        match="timeout after 0.01s waiting for a virtiofs device with the tag 'tag'",
    ):
        await virtiofs.add(share(sysfs, "virtiofs"), cast(Site, kernel))


async def test_another_error_is_final(sysfs: Sysfs) -> None:
    kernel = Kernel(sysfs, errno.EPERM)
    with pytest.raises(PermissionError):
        await ninep.add(share(sysfs, "9p"), cast(Site, kernel))
    assert kernel.attempts == 1


async def test_a_share_that_is_mounted_already(sysfs: Sysfs) -> None:
    point = sysfs.paths.sandbox / "a"
    (sysfs.paths.proc / "self/mountinfo").write_text(
        f"36 25 0:31 / {point} rw - virtiofs tag rw\n"
    )
    kernel = Kernel(sysfs, errno.EINVAL, tags={"tag"})
    await virtiofs.add(share(sysfs, "virtiofs"), cast(Site, kernel))
    assert kernel.attempts == 0
