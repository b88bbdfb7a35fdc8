# SPDX-License-Identifier: Apache-2.0
"""Shares that have a tag, in place of the kernel's; the tests in VMs have real ones."""

from __future__ import annotations

import os

import pytest

from kata_agent.async_undo import AsyncUndo
from kata_agent.linux.mount_options import MountOptions
from kata_agent.storage import driver_context
from kata_agent.storage.driver_context import DriverContext
from kata_agent.storage.huge_pages import HugePages
from kata_agent.storage.mount_point import MountPoint
from kata_agent.undo import Undo
from kata_protos.agent_pb2 import Storage
from tests.helpers.sysfs import Sysfs


class Shares:
    """Mounts a share if its tag is in `tags`; otherwise fails as the kernel does."""

    def __init__(
        self, sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch, *, missing: int
    ) -> None:
        """`missing` is the kernel's error number for an unknown tag."""
        self.tags: set[str] = set()
        self.attempts = 0
        self._sysfs = sysfs
        self._missing = missing
        monkeypatch.setattr(driver_context, "mount_file_system", self._mount)

    def context(self, timeout: float = 30.0) -> DriverContext:
        """Return a driver's context, whose waits take `timeout` seconds at most."""

        async def require(storage: Storage) -> None:
            raise AssertionError("no other storage is needed")

        return DriverContext(
            self._sysfs.hotplug(timeout),
            None,  # type: ignore[arg-type]  # no program is run
            None,
            AsyncUndo(),
            require,
            HugePages(self._sysfs.paths),
        )

    def storage(self, fstype: str) -> Storage:
        """Return a request for the share with the tag `tag`."""
        point = f"{self._sysfs.paths.sandbox}/a"
        return Storage(source="tag", fstype=fstype, mount_point=point)

    def _mount(
        self,
        undo: Undo,
        point: MountPoint,
        source: str,
        fstype: str,
        options: MountOptions,
    ) -> None:
        self.attempts += 1
        if source not in self.tags:
            raise OSError(self._missing, os.strerror(self._missing))
