# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from kata_host.keeper.held_record import HeldRecord
from kata_host.keeper.record import ContainerRecord
from kata_host.keeper.records import find_in
from kata_host.keeper.sweep import remove_abandoned
from tests.helpers.fake_agent import FakeAgent


async def test_what_a_killed_command_would_have_removed_is_removed(
    agent: FakeAgent, guest_one: str
) -> None:
    for name, remove in (("c1", True), ("c2", False)):
        HeldRecord.create(ContainerRecord(name, "one", remove=remove)).close()
    running = HeldRecord.create(ContainerRecord("c3", "one", remove=True))
    gone = await remove_abandoned(list(find_in("one")))
    assert [record.id for record in gone] == ["c1"]
    assert [request.container_id for request in agent.requests] == ["c1"]
    assert [record.id for record, _ in find_in("one")] == ["c2", "c3"]
    running.close()


async def test_an_agent_that_fails_is_asked_again(
    agent: FakeAgent, guest_one: str
) -> None:
    HeldRecord.create(ContainerRecord("c1", "one", remove=True)).close()
    agent.refused = {"RemoveContainer"}
    assert await remove_abandoned(list(find_in("one"))) == []
    assert [record.id for record, _ in find_in("one")] == ["c1"]
