# SPDX-License-Identifier: Apache-2.0
"""`blk`: a virtio disk, named by its PCI path or by its node."""

from __future__ import annotations

from kata_agent.device.block import wait_for_disk
from kata_agent.device.node import node_at
from kata_agent.storage.disk import mount_disk
from kata_agent.storage.driver_context import DriverContext
from kata_protos.agent_pb2 import Storage


async def add(storage: Storage, context: DriverContext) -> None:
    """Mount the disk whose PCI path (`02/03`) or node (`/dev/vda`) is `source`.

    Options and driver options: see `mount_disk`.
    """
    if storage.source.startswith("/"):
        node = node_at(context.paths, storage.source)
    else:
        node = await wait_for_disk(context.hotplug, storage.source)
    await mount_disk(storage, context, node)
