# SPDX-License-Identifier: Apache-2.0
"""Plugged CPUs and memory, in a tree like that of sysfs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kata_agent.errors import Internal, Timeout, Unimplemented
from kata_agent.machine import cpu_memory
from kata_agent.machine.cpu_memory import (
    bring_online,
    has_memory_probe,
    memory_block_size,
    probe_memory,
)
from kata_agent.system_paths import SystemPaths


class Machine:
    """A sysfs into which CPUs and memory can be plugged."""

    def __init__(self, root: Path) -> None:
        self.paths = SystemPaths(sys=root)
        self.cpu = root / "devices/system/cpu"
        self.memory = root / "devices/system/memory"
        for directory in (self.cpu, self.memory):
            directory.mkdir(parents=True)
        # The boot CPU cannot be switched; names that only look alike are not CPUs.
        (self.cpu / "cpu0").mkdir()
        (self.cpu / "cpufreq").mkdir()

    def plug(self, directory: Path, name: str, online: str = "0\n") -> Path:
        (directory / name).mkdir()
        file = directory / name / "online"
        file.write_text(online)
        return file


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


async def test_cpus_and_memory_are_brought_online(machine: Machine) -> None:
    cpus = [machine.plug(machine.cpu, f"cpu{n}") for n in (1, 2)]
    memory = machine.plug(machine.memory, "memory40")
    await bring_online(machine.paths, 3, cpu_only=False)
    assert [file.read_text() for file in (*cpus, memory)] == ["1", "1", "1"]


async def test_with_cpu_only_memory_stays_off(machine: Machine) -> None:
    machine.plug(machine.cpu, "cpu1")
    memory = machine.plug(machine.memory, "memory40")
    await bring_online(machine.paths, 2, cpu_only=True)
    assert memory.read_text() == "0\n"


async def test_without_cpus_only_memory_is_brought_online(machine: Machine) -> None:
    cpu = machine.plug(machine.cpu, "cpu1")
    memory = machine.plug(machine.memory, "memory40")
    await bring_online(machine.paths, 0, cpu_only=False)
    assert (cpu.read_text(), memory.read_text()) == ("0\n", "1")


async def test_cpus_that_are_online_already_count(machine: Machine) -> None:
    machine.plug(machine.cpu, "cpu1", "1\n")
    await bring_online(machine.paths, 2, cpu_only=True)
    # So the call may be repeated.
    await bring_online(machine.paths, 2, cpu_only=True)


async def test_a_cpu_that_appears_late_is_waited_for(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = 0

    async def pause(seconds: float) -> None:
        nonlocal pauses
        pauses += 1
        if pauses == 3:
            machine.plug(machine.cpu, "cpu1")

    monkeypatch.setattr(asyncio, "sleep", pause)
    await bring_online(machine.paths, 2, cpu_only=True)
    assert pauses == 3
    assert (machine.cpu / "cpu1/online").read_text() == "1"


async def test_a_cpu_that_never_appears_is_a_timeout(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cpu_memory, "CPU_TIMEOUT", 0.001)
    machine.plug(machine.cpu, "cpu1")
    with pytest.raises(Timeout, match="cpus: 2 of 3 came online within 0.001 s"):
        await bring_online(machine.paths, 3, cpu_only=True)


async def test_a_cpu_that_refuses_is_logged_and_tried_again(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = machine.plug(machine.cpu, "cpu1")
    file.unlink()
    file.mkdir()

    async def pause(seconds: float) -> None:
        if file.is_dir():
            file.rmdir()
            file.write_text("0")

    monkeypatch.setattr(asyncio, "sleep", pause)
    await bring_online(machine.paths, 2, cpu_only=True)
    assert file.read_text() == "1"
    assert [record.getMessage() for record in caplog.records] == ["not online"]


async def test_a_machine_may_have_no_memory_blocks(tmp_path: Path) -> None:
    await bring_online(SystemPaths(sys=tmp_path), 0, cpu_only=False)


@pytest.mark.parametrize(("text", "size"), [("8000000\n", 1 << 27), ("123", 0x123)])
def test_the_block_size_is_hexadecimal(machine: Machine, text: str, size: int) -> None:
    (machine.memory / "block_size_bytes").write_text(text)
    assert memory_block_size(machine.paths) == size


def test_a_machine_without_a_block_size_has_0(machine: Machine) -> None:
    assert memory_block_size(machine.paths) == 0


@pytest.mark.parametrize("text", ["", "\n", "no size"])
def test_a_block_size_that_is_no_number_is_named(machine: Machine, text: str) -> None:
    (machine.memory / "block_size_bytes").write_text(text)
    with pytest.raises(Internal, match="block_size_bytes: not a size"):
        memory_block_size(machine.paths)


@pytest.mark.parametrize(
    ("acpi", "probe", "expected"),
    [
        ("1\n", True, False),
        ("0\n", True, True),
        (None, True, True),
        (None, False, False),
        ("0\n", False, False),
    ],
)
def test_memory_is_probed_where_acpi_does_not_announce_it(
    machine: Machine, acpi: str | None, probe: bool, expected: bool
) -> None:
    if acpi is not None:
        file = machine.paths.sys / "firmware/acpi/hotplug/memory/enabled"
        file.parent.mkdir(parents=True)
        file.write_text(acpi)
    if probe:
        (machine.memory / "probe").touch()
    assert has_memory_probe(machine.paths) is expected


def test_each_address_is_probed(machine: Machine) -> None:
    (machine.memory / "probe").touch()
    probe_memory(machine.paths, [])
    probe_memory(machine.paths, [0x100000000, 0x108000000])
    assert (machine.memory / "probe").read_text() == "0x108000000"


def test_a_kernel_that_cannot_probe_refuses_any_address(tmp_path: Path) -> None:
    probe_memory(SystemPaths(sys=tmp_path), [])
    with pytest.raises(Unimplemented, match="memory: this kernel cannot be told"):
        probe_memory(SystemPaths(sys=tmp_path), [0])
