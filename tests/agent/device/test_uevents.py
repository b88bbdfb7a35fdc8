# SPDX-License-Identifier: Apache-2.0
"""No device is missed, whenever it comes; none is taken for another."""

from __future__ import annotations

import asyncio
import re

import pytest

from kata_agent.device import uevents
from kata_agent.device.uevent import Uevent
from kata_agent.device.uevent_matcher import UeventMatcher
from kata_agent.errors import Timeout
from kata_agent.system_paths import SystemPaths
from tests.helpers.sysfs import LOST, Sysfs, added

LONG, SHORT = 30.0, 0.01
DISK = "/devices/pci0000:00/0000:00:02.0/virtio1/block/vdb"


def matcher() -> UeventMatcher:
    return UeventMatcher("the disk", "block", re.compile(re.escape(DISK)))


async def test_a_device_that_is_there_is_not_prompted_for(sysfs: Sysfs) -> None:
    sysfs.add("block", DISK)
    found = await sysfs.uevents.wait_for(matcher(), LONG, prompt=pytest.fail)
    assert found == Uevent("add", "block", DISK, "vdb")


async def test_a_device_that_its_prompt_brings(sysfs: Sysfs) -> None:
    event = added("block", DISK)
    found = await sysfs.uevents.wait_for(
        matcher(), LONG, prompt=lambda: sysfs.monitor.send(event)
    )
    assert found == event


async def test_a_device_that_comes_during_the_search_is_found(
    sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its event comes while sysfs, where the device is not yet, is searched."""
    event = added("block", DISK)

    def find(paths: SystemPaths, wanted: UeventMatcher) -> None:
        sysfs.monitor.send(event)

    monkeypatch.setattr(uevents, "find_device", find)
    assert await sysfs.uevents.wait_for(matcher(), LONG) == event


async def test_a_device_that_is_not_ready_is_waited_for(sysfs: Sysfs) -> None:
    event = sysfs.add("block", DISK, node=False)
    waiting = asyncio.create_task(sysfs.uevents.wait_for(matcher(), LONG))
    while not sysfs.uevents._waiting:
        await asyncio.sleep(0)
    assert not waiting.done()
    sysfs.monitor.send(event)
    assert await waiting == event


async def test_several_callers_may_wait_for_one_device(sysfs: Sysfs) -> None:
    event = added("block", DISK)
    waiting = [
        asyncio.create_task(sysfs.uevents.wait_for(matcher(), LONG)) for _ in range(3)
    ]
    while len(sysfs.uevents._waiting) < 3:
        await asyncio.sleep(0)
    sysfs.monitor.send(event)
    assert await asyncio.gather(*waiting) == [event] * 3


@pytest.mark.parametrize(
    "event",
    [
        added("block", f"{DISK}1"),
        added("block", f"{DISK}/vdb1"),
        added("block", f"/devices/other{DISK}"),
        added("bdi", DISK),
        added("block", DISK, "remove"),
        added("block", DISK, "change"),
    ],
)
async def test_an_event_that_only_looks_alike_does_not_count(
    sysfs: Sysfs, event: Uevent
) -> None:
    with pytest.raises(Timeout, match="timeout after 0.01s waiting for the disk"):
        await sysfs.uevents.wait_for(
            matcher(), SHORT, prompt=lambda: sysfs.monitor.send(event)
        )
    assert not sysfs.uevents._waiting


async def test_after_lost_events_sysfs_is_searched_again(sysfs: Sysfs) -> None:
    def lose() -> None:
        sysfs.add("block", DISK)
        sysfs.monitor.send(LOST)

    assert await sysfs.uevents.wait_for(matcher(), LONG, prompt=lose)


async def test_a_caller_that_is_cancelled_leaves_nothing(sysfs: Sysfs) -> None:
    waiting = asyncio.create_task(sysfs.uevents.wait_for(matcher(), LONG))
    while not sysfs.uevents._waiting:
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not sysfs.uevents._waiting


async def test_a_timeout_of_the_prompt_itself_is_passed_on(sysfs: Sysfs) -> None:
    def fail() -> None:
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        await sysfs.uevents.wait_for(matcher(), LONG, prompt=fail)


async def test_listeners_hear_everything(sysfs: Sysfs) -> None:
    heard: list[Uevent] = []
    sysfs.uevents.listen(heard.append)
    await sysfs.uevents.start()
    await sysfs.uevents.start()
    events = [added("block", DISK), added("net", "/devices/virtual/net/lo", "remove")]
    sysfs.monitor.send(*events)
    while len(heard) < 2:
        await asyncio.sleep(0)
    assert heard == events


# --- retry ---


class Attempts:
    """Succeeds from a certain attempt on."""

    def __init__(self, success: int) -> None:
        self.count = 0
        self._success = success

    async def __call__(self) -> bool:
        self.count += 1
        return self.count >= self._success


async def test_an_attempt_that_succeeds_is_the_last(sysfs: Sysfs) -> None:
    attempt = Attempts(1)
    await sysfs.uevents.retry(attempt, matcher(), LONG)
    assert attempt.count == 1


@pytest.mark.parametrize("event", [added("block", DISK), LOST], ids=["event", "lost"])
async def test_an_attempt_is_made_again_after_an_event(
    sysfs: Sysfs, event: Uevent | OSError
) -> None:
    attempt = Attempts(3)
    retrying = asyncio.create_task(sysfs.uevents.retry(attempt, matcher(), LONG))
    for count in (1, 2):
        while attempt.count < count:
            await asyncio.sleep(0)
        # The first event is of another device.
        sysfs.monitor.send(added("net", DISK), event)
    await retrying
    assert attempt.count == 3
    assert not sysfs.uevents._retrying


async def test_attempts_end_with_the_timeout_or_an_error(sysfs: Sysfs) -> None:
    with pytest.raises(Timeout, match="timeout after 0.01s waiting for the disk"):
        await sysfs.uevents.retry(Attempts(9), matcher(), SHORT)

    async def fail() -> bool:
        raise PermissionError("never")

    with pytest.raises(PermissionError):
        await sysfs.uevents.retry(fail, matcher(), LONG)
    assert not sysfs.uevents._retrying
