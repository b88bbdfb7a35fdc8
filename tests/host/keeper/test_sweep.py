# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import signal

from kata_host.keeper.held_exec import FOLDER
from kata_host.keeper.held_record import HeldRecord
from kata_host.keeper.record import ContainerRecord
from kata_host.keeper.records import find_in
from kata_host.keeper.sweep import kill_abandoned, remove_abandoned
from tests.helpers.fake_agent import FakeAgent


async def test_what_a_killed_command_would_have_removed_is_removed(
    agent: FakeAgent, guest_one: str
) -> None:
    for name in ("c1", "c2"):
        HeldRecord.create(ContainerRecord(name, "one", remove=True)).close()
    await remove_abandoned(ContainerRecord("c1", "one"))
    assert [request.container_id for request in agent.requests] == ["c1"]
    assert [record.id for record, _ in find_in("one")] == ["c2"]


async def test_an_agent_that_fails_is_asked_again(
    agent: FakeAgent, guest_one: str
) -> None:
    HeldRecord.create(ContainerRecord("c1", "one", remove=True)).close()
    agent.refused = {"RemoveContainer"}
    await remove_abandoned(ContainerRecord("c1", "one"))
    assert [record.id for record, _ in find_in("one")] == ["c1"]


async def test_the_program_of_a_killed_command_is_killed(
    agent: FakeAgent, guest_one: str
) -> None:
    held = HeldRecord.create(ContainerRecord("c1", "one"))
    folder = held.folder / FOLDER
    folder.mkdir()
    for name in ("e1", "e2"):
        (folder / name).touch()
    await kill_abandoned(held.record, [folder / "e1"])
    assert [path.name for path in folder.iterdir()] == ["e2"]
    signalled, waited = agent.requests
    assert (signalled.exec_id, signalled.signal) == ("e1", signal.SIGKILL)
    assert waited.exec_id == "e1"
    held.close()
