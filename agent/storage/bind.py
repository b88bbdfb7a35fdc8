# SPDX-License-Identifier: Apache-2.0
"""`bind`: a file or directory of the guest, at one more path."""

from __future__ import annotations

from kata_agent.storage.driver_context import DriverContext
from kata_protos.agent_pb2 import Storage


async def add(storage: Storage, context: DriverContext) -> None:
    """Bind `source`, an absolute path in the guest.

    Options: those of mount(8) for a bind (`rbind`, `ro`, `nosuid`, `rslave`, ...);
    `bind` is implied.
    """
    await context.mount(storage, storage.source, fstype="bind")
