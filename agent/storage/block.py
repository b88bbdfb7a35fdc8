# SPDX-License-Identifier: Apache-2.0
"""`blk`: a virtio disk, named by its PCI path or by its node."""

from __future__ import annotations

from kata_agent.device.block import wait_for_disk
from kata_agent.device.node import node_at
from kata_agent.storage.context import Site
from kata_agent.storage.disk import mount_disk
from kata_protos.agent_pb2 import Storage


async def add(storage: Storage, site: Site) -> None:
    if storage.source.startswith("/"):
        node = node_at(site.paths, storage.source)
    else:
        node = await wait_for_disk(site.hotplug, storage.source)
    await mount_disk(storage, site, node)
