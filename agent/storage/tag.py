# SPDX-License-Identifier: Apache-2.0
"""Shares that have a tag: only an attempt to mount tells whether a tag is there."""

from __future__ import annotations

import re

from kata_agent.device.uevent_matcher import UeventMatcher
from kata_agent.storage.driver_context import DriverContext
from kata_protos.agent_pb2 import Storage


async def mount_tag(storage: Storage, context: DriverContext, *, missing: int) -> None:
    """Mount the share whose tag is `storage.source`, once its device has appeared.

    `missing` is the error number by which the kernel says that no device has the tag.
    Raises `Timeout` if the device does not appear, and other errors of the mount.
    """

    async def attempt() -> bool:
        try:
            await context.mount(storage, storage.source)
        except OSError as error:
            if error.errno != missing:
                raise
            return False
        return True

    if not await attempt():
        # At `add` the device has no driver yet, and so the tag is not known.
        matcher = UeventMatcher(
            description=f"a {storage.fstype} device with the tag {storage.source!r}",
            subsystem="virtio",
            devpath=re.compile(r"/devices/.+/virtio[0-9]+"),
            action="bind",
        )
        await context.hotplug.retry(attempt, matcher)
