# SPDX-License-Identifier: Apache-2.0
"""`9p`: a directory of the host, shared under a tag over virtio-9p."""

from __future__ import annotations

import errno

from kata_agent.storage.context import Site
from kata_agent.storage.tag import mount_tag
from kata_protos.agent_pb2 import Storage


async def add(storage: Storage, site: Site) -> None:
    await mount_tag(storage, site, missing=errno.ENOENT)
