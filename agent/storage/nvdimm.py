# SPDX-License-Identifier: Apache-2.0
"""`nvdimm`: persistent memory, named as the guest will name it (`/dev/pmem0`)."""

from __future__ import annotations

from kata_agent.device.nvdimm import wait_for_disk
from kata_agent.storage.context import Site
from kata_agent.storage.disk import mount_disk
from kata_protos.agent_pb2 import Storage


async def add(storage: Storage, site: Site) -> None:
    await mount_disk(storage, site, await wait_for_disk(site.hotplug, storage.source))
