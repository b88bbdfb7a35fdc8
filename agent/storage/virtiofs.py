# SPDX-License-Identifier: Apache-2.0
"""`virtio-fs`: a directory of the host, shared under a tag."""

from __future__ import annotations

import errno
import os

from kata_agent.blocking import blocking
from kata_agent.linux.mountinfo import read_mounts
from kata_agent.storage.driver_context import DriverContext
from kata_agent.storage.mount_point import MountPoint
from kata_agent.storage.tag import mount_tag
from kata_agent.system_paths import SystemPaths
from kata_protos.agent_pb2 import Storage


async def add(storage: Storage, context: DriverContext) -> None:
    """Mount the share whose tag is `source`, unless it is mounted there already.

    Options: those of mount(8) and of virtiofs (kernel, filesystems/virtiofs.rst), as
    `dax`.
    """
    point = context.mount_point_of(storage)
    # A sandbox that is created again in the same guest finds its share mounted.
    if not await blocking(_is_mounted, context.paths, point, storage.source):
        await mount_tag(storage, context, missing=errno.EINVAL)


def _is_mounted(paths: SystemPaths, point: MountPoint, tag: str) -> bool:
    path = os.fspath(point.root / point.path)
    there = [
        (mount.fstype, mount.source)
        for mount in read_mounts(paths.proc / "self/mountinfo")
        if mount.point == path
    ]
    # The last mount on a point hides the others.
    return there[-1:] == [("virtiofs", tag)]
