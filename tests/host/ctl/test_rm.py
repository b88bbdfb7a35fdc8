# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

import pytest

from kata_host.ctl.program import main
from kata_host.keeper.held_record import HeldRecord
from kata_host.keeper.record import ContainerRecord
from kata_host.keeper.records import find_in
from tests.helpers.fake_agent import FakeAgent
from ttrpc.codes import Code


async def rm(*arguments: str) -> int:
    return await asyncio.to_thread(main, ["rm", *arguments])


async def test_what_has_ended_is_removed(agent: FakeAgent, guest_one: str) -> None:
    HeldRecord.create(ContainerRecord("web", "one", ended=1.0)).close()
    assert await rm("web") == 0
    assert [request.container_id for request in agent.requests] == ["web"]
    assert not list(find_in("one"))


async def test_what_the_agent_has_no_more_is_removed(
    agent: FakeAgent, guest_one: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("killed", "other"):
        HeldRecord.create(ContainerRecord(name, "one")).close()
    agent.refused, agent.code = {"RemoveContainer"}, Code.INVALID_ARGUMENT
    assert await rm("-f", "killed") == 0
    assert [record.id for record, _ in find_in("one")] == ["other"]
    agent.code = Code.INTERNAL
    assert await rm("-f", "other") == 1
    assert "RemoveContainer refused" in capsys.readouterr().err
    assert [record.id for record, _ in find_in("one")] == ["other"]


async def test_what_runs_needs_force(
    agent: FakeAgent, guest_one: str, capsys: pytest.CaptureFixture[str]
) -> None:
    held = HeldRecord.create(ContainerRecord("web", "one", started=1.0))
    assert await rm("web", "one/other") == 1
    assert capsys.readouterr().err == (
        "kata-agent-ctl: container 'web': running, stop it or use --force\n"
        "kata-agent-ctl: container 'other': may run, stop it or use --force\n"
    )
    assert agent.requests == []
    assert await rm("-f", "web", "one/other") == 0
    assert agent.names() == ["RemoveContainer"] * 2
    held.close()
