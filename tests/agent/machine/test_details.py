# SPDX-License-Identifier: Apache-2.0
"""The guest's description of itself."""

from __future__ import annotations

from pathlib import Path

from kata_agent.machine.details import guest_details
from kata_agent.system_paths import SystemPaths
from kata_agent.version import VERSION
from kata_protos.agent_pb2 import GuestDetailsRequest, GuestDetailsResponse


def details(paths: SystemPaths, **request: bool) -> GuestDetailsResponse:
    return guest_details(
        paths,
        GuestDetailsRequest(**request),
        device_handlers=["blk", "scsi"],
        storage_handlers=["9p", "local"],
    )


def guest(root: Path, *, seccomp: bool) -> SystemPaths:
    memory = root / "sys/devices/system/memory"
    memory.mkdir(parents=True)
    (memory / "block_size_bytes").write_text("8000000\n")
    (memory / "probe").touch()
    if seccomp:
        file = root / "proc/sys/kernel/seccomp/actions_avail"
        file.parent.mkdir(parents=True)
        file.write_text("kill_process allow\n")
    return SystemPaths(proc=root / "proc", sys=root / "sys")


def test_the_agent_is_described(tmp_path: Path) -> None:
    agent = details(guest(tmp_path, seccomp=True)).agent_details
    assert agent.version == VERSION
    assert not agent.init_daemon
    assert list(agent.device_handlers) == ["blk", "scsi"]
    assert list(agent.storage_handlers) == ["9p", "local"]
    assert agent.supports_seccomp
    # In the words of Kata's agent, which runtime-rs passes on.
    assert list(agent.extra_features) == ["seccomp"]


def test_a_kernel_without_seccomp_is_told(tmp_path: Path) -> None:
    paths = guest(tmp_path, seccomp=False)
    agent = details(paths).agent_details
    assert not agent.supports_seccomp
    assert not agent.extra_features


def test_memory_is_described_only_if_asked_for(tmp_path: Path) -> None:
    paths = guest(tmp_path, seccomp=True)
    assert details(paths).mem_block_size_bytes == 0
    assert not details(paths).support_mem_hotplug_probe
    asked = details(paths, mem_block_size=True, mem_hotplug_probe=True)
    assert asked.mem_block_size_bytes == 1 << 27
    assert asked.support_mem_hotplug_probe


def test_this_kernel_has_seccomp() -> None:
    assert details(SystemPaths()).agent_details.supports_seccomp
