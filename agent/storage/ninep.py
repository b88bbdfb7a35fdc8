# SPDX-License-Identifier: Apache-2.0
"""`9p`: a directory of the host, shared under a tag over virtio-9p."""

from __future__ import annotations

import errno

from kata_agent.storage.driver_context import DriverContext
from kata_agent.storage.tag import mount_tag
from kata_protos.agent_pb2 import Storage


async def add(storage: Storage, context: DriverContext) -> None:
    """Mount the share whose tag is `source`.

    Options: those of mount(8) and of 9p (kernel, filesystems/9p.rst), as
    `trans=virtio` and `version=9p2000.L`.
    """
    await mount_tag(storage, context, missing=errno.ENOENT)
