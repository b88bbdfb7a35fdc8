# SPDX-License-Identifier: Apache-2.0
"""No device is missed, whenever it comes; none is taken for another."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_agent.device.uevent import KernelMonitor, Uevent, UeventMatcher, Uevents
from kata_agent.errors import Timeout
from tests.helpers.sysfs import LOST, Sysfs, added

LONG, SHORT = 30.0, 0.01
DISK = "/devices/pci0000:00/0000:00:02.0/virtio1/block/vdb"


def matcher(devpath: str = DISK, subsystem: str = "block") -> UeventMatcher:
    return UeventMatcher("the disk", subsystem, re.compile(re.escape(devpath)))


@pytest.fixture
def sysfs(tmp_path: Path) -> Iterator[Sysfs]:
    sysfs = Sysfs(tmp_path)
    yield sysfs
    sysfs.monitor.close()


async def test_a_device_that_is_there_is_not_prompted_for(sysfs: Sysfs) -> None:
    sysfs.add("block", DISK)
    found = await sysfs.uevents.wait_for(matcher(), LONG, prompt=pytest.fail)
    assert found == Uevent("add", "block", DISK, "vdb")
    sysfs.uevents.close()


async def test_a_device_on_a_bus_instead_of_in_a_class(sysfs: Sysfs) -> None:
    sysfs.add("pci", "/devices/pci0000:00/0000:00:02.0")
    (sysfs.paths.sys / "class/pci").rename(sysfs.paths.sys / "class/x")
    (sysfs.paths.sys / "bus/pci").mkdir(parents=True)
    (sysfs.paths.sys / "class/x").rename(sysfs.paths.sys / "bus/pci/devices")
    wanted = matcher("/devices/pci0000:00/0000:00:02.0", "pci")
    assert (await sysfs.uevents.wait_for(wanted, LONG)).subsystem == "pci"
    sysfs.uevents.close()


async def test_a_device_that_its_prompt_brings(sysfs: Sysfs) -> None:
    event = added("block", DISK)
    found = await sysfs.uevents.wait_for(
        matcher(), LONG, prompt=lambda: sysfs.monitor.send(event)
    )
    assert found == event
    sysfs.uevents.close()


async def test_a_device_between_the_subscription_and_the_look_up(
    sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its event comes while sysfs, where it is not yet, is searched."""
    event = added("block", DISK)

    def find(self: Uevents, wanted: UeventMatcher) -> None:
        sysfs.monitor.send(event)

    monkeypatch.setattr(Uevents, "find", find)
    assert await sysfs.uevents.wait_for(matcher(), LONG) == event
    sysfs.uevents.close()


async def test_a_device_that_is_not_ready_is_waited_for(sysfs: Sysfs) -> None:
    event = sysfs.add("block", DISK, node=False)
    waiting = asyncio.create_task(sysfs.uevents.wait_for(matcher(), LONG))
    while not sysfs.uevents._waiting:
        await asyncio.sleep(0)
    assert not waiting.done()
    sysfs.monitor.send(event)
    assert await waiting == event
    sysfs.uevents.close()


async def test_several_wait_for_one(sysfs: Sysfs) -> None:
    event = added("block", DISK)
    waiting = [
        asyncio.create_task(sysfs.uevents.wait_for(matcher(), LONG)) for _ in range(3)
    ]
    while len(sysfs.uevents._waiting) < 3:
        await asyncio.sleep(0)
    sysfs.monitor.send(event)
    assert await asyncio.gather(*waiting) == [event] * 3
    sysfs.uevents.close()


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
async def test_what_only_looks_like_it(sysfs: Sysfs, event: Uevent) -> None:
    with pytest.raises(Timeout, match="timeout after 0.01s waiting for the disk"):
        await sysfs.uevents.wait_for(
            matcher(), SHORT, prompt=lambda: sysfs.monitor.send(event)
        )
    assert not sysfs.uevents._waiting
    sysfs.uevents.close()


async def test_events_that_the_kernel_dropped_are_made_up_for(sysfs: Sysfs) -> None:
    def lose() -> None:
        sysfs.add("block", DISK)
        sysfs.monitor.send(LOST)

    assert await sysfs.uevents.wait_for(matcher(), LONG, prompt=lose)
    sysfs.uevents.close()


async def test_who_gives_up_leaves_nothing(sysfs: Sysfs) -> None:
    waiting = asyncio.create_task(sysfs.uevents.wait_for(matcher(), LONG))
    while not sysfs.uevents._waiting:
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not sysfs.uevents._waiting
    sysfs.uevents.close()


async def test_a_timeout_inside_of_a_prompt_is_not_ours(sysfs: Sysfs) -> None:
    def fail() -> None:
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        await sysfs.uevents.wait_for(matcher(), LONG, prompt=fail)
    sysfs.uevents.close()


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
    sysfs.uevents.close()


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
    sysfs.uevents.close()


@pytest.mark.parametrize("event", [added("block", DISK), LOST], ids=["event", "lost"])
async def test_an_attempt_is_made_again_after_an_event(
    sysfs: Sysfs, event: Uevent | OSError
) -> None:
    attempt = Attempts(3)
    retrying = asyncio.create_task(sysfs.uevents.retry(attempt, matcher(), LONG))
    for count in (1, 2):
        while attempt.count < count:
            await asyncio.sleep(0)
        # Not of the device; then of it.
        sysfs.monitor.send(added("net", DISK), event)
    await retrying
    assert attempt.count == 3
    assert not sysfs.uevents._retrying
    sysfs.uevents.close()


async def test_attempts_end(sysfs: Sysfs) -> None:
    with pytest.raises(Timeout, match="timeout after 0.01s waiting for the disk"):
        await sysfs.uevents.retry(Attempts(9), matcher(), SHORT)

    async def fail() -> bool:
        raise PermissionError("never")

    with pytest.raises(PermissionError):
        await sysfs.uevents.retry(fail, matcher(), LONG)
    assert not sysfs.uevents._retrying
    sysfs.uevents.close()


# --- the kernel's own ---


def test_the_kernels_monitor() -> None:
    """It opens without any program's help; what it says is tested in VMs."""
    monitor = KernelMonitor()
    assert monitor.fileno() > 0
    event = monitor.receive()
    assert event is None or event.devpath.startswith("/")
