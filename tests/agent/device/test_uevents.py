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


class Search:
    """A prompt: it is called after sysfs was searched, when only an event can come."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()

    def __call__(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)

    async def end(self) -> None:
        await self._ended.wait()


class Asked(UeventMatcher):
    """A matcher of the disk that counts the events that it is asked about."""

    count = 0

    def matches(self, event: Uevent) -> bool:
        Asked.count += 1
        return UeventMatcher.matches(self, event)


def asked() -> Asked:
    return Asked("the disk", "block", re.compile(re.escape(DISK)))


async def is_forgotten(sysfs: Sysfs) -> bool:
    """Tell whether no `Asked` is asked about an event any more."""
    before = Asked.count
    sysfs.monitor.send(added("net", "/devices/virtual/net/lo"))
    await sysfs.until_received()
    return Asked.count == before


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
    search = Search()
    waiting = asyncio.create_task(
        sysfs.uevents.wait_for(matcher(), LONG, prompt=search)
    )
    await search.end()
    assert not waiting.done()
    sysfs.monitor.send(event)
    assert await waiting == event


async def test_several_callers_may_wait_for_one_device(sysfs: Sysfs) -> None:
    event = added("block", DISK)
    searches = [Search() for _ in range(3)]
    waiting = [
        asyncio.create_task(sysfs.uevents.wait_for(matcher(), LONG, prompt=search))
        for search in searches
    ]
    for search in searches:
        await search.end()
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
    search = Search()
    waiting = asyncio.create_task(
        sysfs.uevents.wait_for(matcher(), LONG, prompt=search)
    )
    await search.end()
    sysfs.monitor.send(event)
    await sysfs.until_received()
    assert not waiting.done()
    waiting.cancel()


async def test_a_device_that_does_not_come_is_named_and_forgotten(
    sysfs: Sysfs,
) -> None:
    with pytest.raises(Timeout, match="timeout after 0.01s waiting for the disk"):
        await sysfs.uevents.wait_for(asked(), SHORT)
    assert await is_forgotten(sysfs)


async def test_after_lost_events_sysfs_is_searched_again(sysfs: Sysfs) -> None:
    def lose() -> None:
        sysfs.add("block", DISK)
        sysfs.monitor.send(LOST)

    assert await sysfs.uevents.wait_for(matcher(), LONG, prompt=lose)


async def test_a_caller_that_is_cancelled_leaves_nothing(sysfs: Sysfs) -> None:
    search = Search()
    waiting = asyncio.create_task(sysfs.uevents.wait_for(asked(), LONG, prompt=search))
    await search.end()
    assert not await is_forgotten(sysfs)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await is_forgotten(sysfs)


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
    await sysfs.until_received()
    assert heard == events


# --- retry ---


class Attempts:
    """An attempt that succeeds from the given number on."""

    def __init__(self, success: int) -> None:
        self.count = 0
        self._success = success
        self._made = asyncio.Event()

    async def __call__(self) -> bool:
        self.count += 1
        self._made.set()
        return self.count >= self._success

    async def made(self, count: int) -> None:
        """Wait until `count` attempts have been made."""
        while self.count < count:
            self._made.clear()
            await self._made.wait()


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
        await attempt.made(count)
        # The first event is of another device.
        sysfs.monitor.send(added("net", DISK), event)
    await retrying
    assert attempt.count == 3


async def test_attempts_end_with_the_timeout_or_an_error(sysfs: Sysfs) -> None:
    with pytest.raises(Timeout, match="timeout after 0.01s waiting for the disk"):
        await sysfs.uevents.retry(Attempts(9), asked(), SHORT)

    async def fail() -> bool:
        raise PermissionError("never")

    with pytest.raises(PermissionError):
        await sysfs.uevents.retry(fail, asked(), LONG)
    assert await is_forgotten(sysfs)
