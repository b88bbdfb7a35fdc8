# SPDX-License-Identifier: Apache-2.0
"""What the host shares under a tag: only mounting it tells whether it is there."""

from __future__ import annotations

import re

from kata_agent.device.uevent import UeventMatcher
from kata_agent.storage.context import Site
from kata_protos.agent_pb2 import Storage


async def mount_tag(storage: Storage, site: Site, *, missing: int) -> None:
    """Mount what has the tag `storage.source`, once its device has appeared.

    `missing` is the error number by which the kernel says that no device has the
    tag.
    """

    async def attempt() -> bool:
        try:
            await site.mount(storage, storage.source)
        except OSError as error:
            if error.errno != missing:
                raise
            return False
        return True

    if not await attempt():
        # The tag is known once the driver has taken the device: not at its `add`.
        matcher = UeventMatcher(
            description=f"a {storage.fstype} device with the tag {storage.source!r}",
            subsystem="virtio",
            devpath=re.compile(r"/devices/.+/virtio[0-9]+"),
            action="bind",
        )
        await site.hotplug.retry(attempt, matcher)
