# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import json

import pytest

from kata_host.ctl.program import main
from kata_host.ctl.stats import to_text
from kata_host.keeper.held_record import HeldRecord
from kata_host.keeper.record import ContainerRecord
from tests.helpers.fake_agent import FakeAgent
from ttrpc.codes import Code


async def stats(*arguments: str) -> int:
    command = ["stats", "--no-stream", "--interval", "1ms", *arguments]
    return await asyncio.to_thread(main, command)


async def test_what_runs_is_shown_once(
    agent: FakeAgent, guest_one: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await stats() == 1
    assert "stats: no container runs" in capsys.readouterr().err
    held = HeldRecord.create(ContainerRecord("web", "one", started=1.0))
    agent.stats.cgroup_stats.memory_stats.usage.usage = 3 << 19
    assert await stats() == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.startswith("CONTAINER  CPU %  MEMORY   LIMIT  PIDS")
    assert row.split()[:5] == ["web", "0.0", "1.5", "MiB", "-"]
    assert await stats("--format=json", "one/c9") == 0
    assert json.loads(capsys.readouterr().out)["container"] == "c9"
    held.close()


async def test_of_all_those_that_are_gone_are_left_out(
    agent: FakeAgent, guest_one: str, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = HeldRecord.create(ContainerRecord("gone", "one", started=1.0))
    agent.refused, agent.code = {"StatsContainer"}, Code.INVALID_ARGUMENT
    assert await stats() == 1
    assert "stats: no container runs" in capsys.readouterr().err
    assert await stats("gone") == 1
    assert "StatsContainer refused" in capsys.readouterr().err
    agent.code = Code.INTERNAL
    assert await stats() == 1
    assert "StatsContainer refused" in capsys.readouterr().err
    gone.close()


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 50, "5120.0 TiB")],
)
def test_sizes_for_people(size: int, text: str) -> None:
    assert to_text(size) == text
