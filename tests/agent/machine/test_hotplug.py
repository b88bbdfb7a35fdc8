# SPDX-License-Identifier: Apache-2.0
"""CPUs and memory that come later than they were asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from kata_agent.errors import Timeout
from kata_agent.machine import cpu_memory
from kata_agent.machine.hotplug import Plugged
from tests.helpers.sysfs import Sysfs, added

CPU, MEMORY = "/devices/system/cpu/cpu1", "/devices/system/memory/memory40"


@pytest.fixture
def sysfs(tmp_path: Path) -> Iterator[Sysfs]:
    sysfs = Sysfs(tmp_path)
    for directory in ("cpu/cpu0", "memory"):
        (sysfs.paths.sys / "devices/system" / directory).mkdir(parents=True)
    (sysfs.paths.sys / "devices/system/cpu/online").write_text("0\n")
    (sysfs.paths.cgroup / "cpuset/a").mkdir(parents=True)
    yield sysfs
    sysfs.monitor.close()


def switch(sysfs: Sysfs, devpath: str) -> Path:
    """Plug in what is off, without an event."""
    file = sysfs.paths.sys / devpath.removeprefix("/") / "online"
    file.parent.mkdir()
    file.write_text("0")
    return file


async def is_on(file: Path) -> None:
    while file.read_text() != "1":
        await asyncio.sleep(0)


def plugged(sysfs: Sysfs) -> Plugged:
    return Plugged(sysfs.paths, sysfs.uevents, lambda: [(PurePosixPath("/a"), "")])


async def test_what_comes_after_the_answer(sysfs: Sysfs) -> None:
    await plugged(sysfs).bring_online(1, cpu_only=True)
    assert (sysfs.paths.cgroup / "cpuset/a/cpuset.cpus").read_text() == "0"
    (sysfs.paths.sys / "devices/system/cpu/online").write_text("0-1\n")
    cpu, memory = switch(sysfs, CPU), switch(sysfs, MEMORY)
    sysfs.monitor.send(
        added("cpu", CPU, "remove"), added("cpu", CPU), added("memory", MEMORY)
    )
    await is_on(cpu)
    await is_on(memory)
    while (sysfs.paths.cgroup / "cpuset/a/cpuset.cpus").read_text() != "0-1":
        await asyncio.sleep(0)
    sysfs.uevents.close()


async def test_what_comes_before_anybody_listens(
    sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the request and the first listener there is no event to hear."""
    start = sysfs.uevents.start

    async def late() -> None:
        switches.append(switch(sysfs, CPU))
        await start()

    switches: list[Path] = []
    monkeypatch.setattr(sysfs.uevents, "start", late)
    await plugged(sysfs).bring_online(1, cpu_only=True)
    while not switches:
        await asyncio.sleep(0)
    await is_on(switches[0])
    sysfs.uevents.close()


async def test_what_comes_after_the_timeout(
    sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_memory, "CPU_TIMEOUT", 0.001)
    with pytest.raises(Timeout, match="cpus: 1 of 2"):
        await plugged(sysfs).bring_online(2, cpu_only=True)
    cpu = switch(sysfs, CPU)
    sysfs.monitor.send(added("cpu", CPU))
    await is_on(cpu)
    sysfs.uevents.close()


async def test_one_that_went_again_is_logged(
    sysfs: Sysfs, caplog: pytest.LogCaptureFixture
) -> None:
    await plugged(sysfs).bring_online(0, cpu_only=True)
    while not sysfs.uevents._monitor:
        await asyncio.sleep(0)
    sysfs.monitor.send(added("memory", MEMORY))
    while not caplog.records:
        await asyncio.sleep(0)
    assert caplog.records[0].getMessage() == "not online"
    sysfs.uevents.close()
