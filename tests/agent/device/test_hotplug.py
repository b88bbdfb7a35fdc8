# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import re

import pytest

from kata_agent.device.uevent_matcher import UeventMatcher
from kata_agent.errors import Timeout
from tests.helpers.sysfs import Sysfs, added

DISK = "/devices/pci0000:00/0000:00:02.0/virtio1/block/vdb"
MATCHER = UeventMatcher("the disk", "block", re.compile(re.escape(DISK)))


async def test_a_device_that_comes_has_a_node(sysfs: Sysfs) -> None:
    node = await sysfs.hotplug().wait_for_node(
        MATCHER, prompt=lambda: sysfs.monitor.send(added("block", DISK))
    )
    assert node == sysfs.paths.dev / "vdb"


async def test_a_wait_ends_with_the_configured_timeout(sysfs: Sysfs) -> None:
    with pytest.raises(Timeout, match="timeout after 0.02s waiting for the disk"):
        await sysfs.hotplug(0.02).wait_for(MATCHER)
    with pytest.raises(Timeout, match="timeout after 0.03s waiting for the disk"):
        await sysfs.hotplug(0.03).retry(_never, MATCHER)


async def test_an_attempt_is_made_again_after_an_event(sysfs: Sysfs) -> None:
    attempts = 0
    failed = asyncio.Event()

    async def attempt() -> bool:
        nonlocal attempts
        attempts += 1
        failed.set()
        return attempts == 2

    retrying = asyncio.create_task(sysfs.hotplug().retry(attempt, MATCHER))
    await failed.wait()
    sysfs.monitor.send(added("block", DISK))
    await retrying
    assert attempts == 2


async def _never() -> bool:
    return False
