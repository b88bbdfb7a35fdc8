# SPDX-License-Identifier: Apache-2.0
"""CPUs and memory that come later than they were asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from kata_agent.errors import InvalidArgument, Timeout
from kata_agent.machine import cpu_memory
from kata_agent.machine.cpu_memory_hotplug import ContainerCpus, CpuMemoryHotplug
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


def plug(sysfs: Sysfs, devpath: str) -> Path:
    """Plug in a CPU or a memory block, without an event; return its `online` file."""
    file = sysfs.paths.sys / devpath.removeprefix("/") / "online"
    file.parent.mkdir()
    file.write_text("0")
    return file


async def until_on(file: Path) -> None:
    while file.read_text() != "1":
        await asyncio.sleep(0)


def one_container() -> list[tuple[PurePosixPath, str]]:
    """A container that may have every CPU."""
    return [(PurePosixPath("/a"), "")]


def hotplug(
    sysfs: Sysfs, container_cpus: ContainerCpus = one_container
) -> CpuMemoryHotplug:
    return CpuMemoryHotplug(sysfs.paths, sysfs.uevents, container_cpus)


async def test_a_cpu_that_comes_after_the_answer_is_brought_online(
    sysfs: Sysfs,
) -> None:
    await hotplug(sysfs).bring_online(1, cpu_only=True)
    assert (sysfs.paths.cgroup / "cpuset/a/cpuset.cpus").read_text() == "0"
    (sysfs.paths.sys / "devices/system/cpu/online").write_text("0-1\n")
    cpu, memory = plug(sysfs, CPU), plug(sysfs, MEMORY)
    sysfs.monitor.send(
        added("cpu", CPU, "remove"), added("cpu", CPU), added("memory", MEMORY)
    )
    await until_on(cpu)
    await until_on(memory)
    while (sysfs.paths.cgroup / "cpuset/a/cpuset.cpus").read_text() != "0-1":
        await asyncio.sleep(0)
    sysfs.uevents.close()


async def test_a_cpu_that_comes_before_anybody_listens_is_found(
    sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the request and the start of the uevents no event is received."""
    start = sysfs.uevents.start

    async def late() -> None:
        switches.append(plug(sysfs, CPU))
        await start()

    switches: list[Path] = []
    monkeypatch.setattr(sysfs.uevents, "start", late)
    await hotplug(sysfs).bring_online(1, cpu_only=True)
    while not switches:
        await asyncio.sleep(0)
    await until_on(switches[0])
    sysfs.uevents.close()


async def test_a_cpu_that_comes_after_the_timeout_is_brought_online(
    sysfs: Sysfs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_memory, "CPU_TIMEOUT", 0.001)
    with pytest.raises(Timeout, match="cpus: 1 of 2"):
        await hotplug(sysfs).bring_online(2, cpu_only=True)
    cpu = plug(sysfs, CPU)
    sysfs.monitor.send(added("cpu", CPU))
    await until_on(cpu)
    sysfs.uevents.close()


async def test_a_memory_block_that_has_gone_again_is_logged(
    sysfs: Sysfs, caplog: pytest.LogCaptureFixture
) -> None:
    await hotplug(sysfs).bring_online(0, cpu_only=True)
    sysfs.monitor.send(added("memory", MEMORY))
    while not caplog.records:
        await asyncio.sleep(0)
    assert caplog.records[0].getMessage() == "hotplug failed"
    assert "No such file" in vars(caplog.records[0])["error"]
    sysfs.uevents.close()


@pytest.mark.parametrize("error", [InvalidArgument("a bad set"), ValueError("a bug")])
async def test_every_failure_in_the_background_is_logged(
    sysfs: Sysfs, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    """The container's set of CPUs goes bad after the answer."""
    calls = 0

    def container_cpus() -> list[tuple[PurePosixPath, str]]:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise error
        return []

    await hotplug(sysfs, container_cpus).bring_online(1, cpu_only=True)
    while not caplog.records:
        await asyncio.sleep(0)
    (record,) = caplog.records
    assert record.getMessage() == "hotplug failed"
    assert (record.exc_info is not None) == isinstance(error, ValueError)
    sysfs.uevents.close()
