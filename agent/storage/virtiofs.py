# SPDX-License-Identifier: Apache-2.0
"""`virtio-fs`: a directory of the host, shared under a tag."""

from __future__ import annotations

import errno
import os

from kata_agent.blocking import blocking
from kata_agent.linux.mount import read_mounts
from kata_agent.storage.context import Site
from kata_agent.storage.mount_point import Place
from kata_agent.storage.tag import mount_tag
from kata_agent.system_paths import SystemPaths
from kata_protos.agent_pb2 import Storage


async def add(storage: Storage, site: Site) -> None:
    place = site.place_of(storage)
    # A sandbox that is made again in the same guest finds its share mounted.
    if not await blocking(_is_mounted, site.paths, place, storage.source):
        await mount_tag(storage, site, missing=errno.EINVAL)


def _is_mounted(paths: SystemPaths, place: Place, tag: str) -> bool:
    point = os.fspath(place.root / place.path)
    on_point = [
        (mount.fstype, mount.source)
        for mount in read_mounts(paths.proc / "self/mountinfo")
        if mount.point == point
    ]
    return on_point[-1:] == [("virtiofs", tag)]
