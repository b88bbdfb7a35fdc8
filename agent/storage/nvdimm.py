# SPDX-License-Identifier: Apache-2.0
"""`nvdimm`: persistent memory, named by its node in the guest."""

from __future__ import annotations

from kata_agent.device.nvdimm import wait_for_disk
from kata_agent.storage.disk import mount_disk
from kata_agent.storage.driver_context import DriverContext
from kata_protos.agent_pb2 import Storage


async def add(storage: Storage, context: DriverContext) -> None:
    """Mount the persistent memory whose node (`/dev/pmem0`) is `source`.

    Options and driver options: see `mount_disk`.
    """
    node = await wait_for_disk(context.hotplug, storage.source)
    await mount_disk(storage, context, node)
