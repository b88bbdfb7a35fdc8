# SPDX-License-Identifier: Apache-2.0
"""Which calls a command makes; tests/e2e/test_sdk.py has real ones."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kata_host import Limits, Result
from kata_host.client import AgentClient
from kata_host.errors import TimedOut
from kata_host.sdk import command
from kata_host.sdk.command import run_command
from kata_host.sdk.container_request import container_request
from kata_host.sdk.roots import OWN
from tests.helpers.fake_agent import FakeAgent
from ttrpc.errors import StatusError


async def run(address: str, **options: Any) -> Result:
    request = container_request(
        "c1", ["x"], OWN, env=None, cwd=None, user=7, limits=Limits()
    )
    given: dict[str, Any] = {
        "files": {},
        "input": b"",
        "timeout": None,
        "output_limit": None,
    }
    async with AgentClient.connect(address) as client:
        return await run_command(client, request, **{**given, **options})


async def test_a_command_leaves_no_container(agent: FakeAgent, address: str) -> None:
    agent.stdout = [b"out"]
    assert await run(address) == Result(7, b"out", b"")
    names = [name for name in agent.names() if "Stdin" not in name]
    assert names == [
        *("CreateContainer", "StartContainer", "WaitProcess"),
        *("StatsContainer", "RemoveContainer"),
    ]
    # A pid namespace of its own.
    assert not agent.requests[0].sandbox_pidns


async def test_files_are_written_before_the_start_and_owned_by_the_user(
    agent: FakeAgent, address: str, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"3")
    big = bytes(1 << 20) + b"x"
    files = {"a": b"1", "b": "2", "/c": tmp_path / "file", "big": big}
    await run(address, files=files)
    kinds = agent.names()
    copies = [it for it in agent.requests if hasattr(it, "file_mode")]
    assert kinds.index("StartContainer") == 1 + len(copies)
    assert [(it.path[-2:], it.data) for it in copies[:3]] == [
        ("/a", b"1"),
        ("/b", b"2"),
        ("/c", b"3"),
    ]
    assert b"".join(it.data for it in copies[3:]) == big
    assert {(it.uid, it.gid, oct(it.file_mode)) for it in copies} == {
        (7, 7, "0o100644")
    }


async def test_a_file_with_a_wrong_path_leaves_no_container(
    agent: FakeAgent, address: str
) -> None:
    with pytest.raises(ValueError, match="hidden by /proc"):
        await run(address, files={"/proc/x": b""})
    assert agent.names() == ["CreateContainer", "RemoveContainer"]


@pytest.mark.parametrize(
    ("status", "kills", "failures", "killed"),
    [
        (137, None, 0, False),
        (137, None, 1, True),
        (1, None, 1, False),
        (137, 0, 1, False),
        (1, 1, 0, True),
    ],
)
async def test_a_kill_for_memory_is_told_from_statistics(
    agent: FakeAgent,
    address: str,
    status: int,
    kills: int | None,
    failures: int,
    killed: bool,
) -> None:
    """Agents other than ours do not count the kills."""
    agent.status = status
    memory = agent.stats.cgroup_stats.memory_stats
    memory.usage.failcnt = failures
    if kills is not None:
        memory.stats["oom_kill"] = kills
    assert (await run(address)).oom_killed is killed


async def test_an_agent_without_statistics_tells_of_no_kill(
    agent: FakeAgent, address: str
) -> None:
    agent.refused = {"StatsContainer"}
    assert not (await run(address)).oom_killed


async def test_a_command_that_takes_too_long_is_killed(
    agent: FakeAgent, address: str
) -> None:
    agent.may_end.clear()
    with pytest.raises(TimedOut, match="command 'x': not ended after 0.1 s"):
        await run(address, timeout=0.1)
    assert agent.names()[-1] == "RemoveContainer"


async def test_a_command_that_is_cancelled_leaves_no_container(
    agent: FakeAgent, address: str
) -> None:
    agent.may_end.clear()
    running = asyncio.create_task(run(address))
    await agent.received("WaitProcess")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert agent.names()[-1] == "RemoveContainer"


async def test_the_first_error_is_raised_though_the_removal_fails_too(
    agent: FakeAgent, address: str
) -> None:
    agent.refused = {"StartContainer", "RemoveContainer"}
    with pytest.raises(StatusError, match="StartContainer refused"):
        await run(address)


async def test_a_guest_that_answers_nothing_keeps_no_caller(
    agent: FakeAgent, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "DRAIN_TIMEOUT", 0.1)
    monkeypatch.setattr(command, "REMOVAL_TIMEOUT", 0.1)
    agent.may_end.clear()
    agent.silent = {"SignalProcess", "RemoveContainer"}
    with pytest.raises(TimedOut):
        await run(address, timeout=0.1)
    assert agent.names()[-2:] == ["SignalProcess", "RemoveContainer"]


async def test_a_caller_waits_for_a_removal_and_may_give_it_up(
    agent: FakeAgent, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "REMOVAL_TIMEOUT", 0.1)
    agent.silent = {"RemoveContainer"}
    running = asyncio.create_task(run(address))
    await agent.received("RemoveContainer")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
