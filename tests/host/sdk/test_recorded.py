# SPDX-License-Identifier: Apache-2.0
"""What the host knows of a program's containers; tests/e2e/test_killed.py kills it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_host import Guest, Limits
from kata_host.errors import AgentError, NotFound, TimedOut
from kata_host.guest.registry import directory_of
from kata_host.keeper.held_record import HeldRecord
from kata_host.keeper.record import ContainerRecord, ContainerState
from kata_host.keeper.records import find_in
from kata_host.sdk.tools import HOLD
from tests.helpers.fake_agent import FakeAgent
from ttrpc.codes import Code


@pytest.mark.parametrize("by_name", [True, False])
async def test_a_container_has_a_record_while_it_is(
    agent: FakeAgent, address: str, guest_one: str, tmp_path: Path, by_name: bool
) -> None:
    async with Guest.connect(guest_one if by_name else address) as guest:
        async with guest.container(limits=Limits(memory="1m"), user=5) as box:
            ((record, state),) = find_in(guest_one)
            assert (record.id, record.guest) == (box.id, guest_one)
            assert (state, record.has_ended) == (ContainerState.RUNNING, False)
            assert (record.memory, record.user) == (1 << 20, "5:5")
            assert tuple(record.command) == HOLD
        assert agent.names()[-1] == "RemoveContainer"
        assert not list(find_in(guest_one))
        agent.may_end.clear()
        with pytest.raises(TimedOut):
            await guest.run(["x"], timeout=0.01)
        assert not list(find_in(guest_one))


async def test_the_containers_of_an_address_that_is_no_guests_have_none(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with Guest.connect(address) as guest, guest.container():
        assert not (tmp_path / "kata-agent").exists()


async def test_a_container_that_cannot_be_removed_stays_known(
    agent: FakeAgent, guest_one: str
) -> None:
    async with Guest.connect(guest_one) as guest:
        agent.refused = {"RemoveContainer"}
        with pytest.raises(AgentError, match="RemoveContainer refused"):
            async with guest.container():
                pass
        ((record, state),) = find_in(guest_one)
        assert (record.remove, state) == (True, ContainerState.LOST)
        # Of one that the agent has not, nothing is kept.
        agent.refused = {"StartContainer", "RemoveContainer"}
        agent.code = Code.NOT_FOUND
        with pytest.raises(NotFound, match="StartContainer refused"):
            await guest.container().__aenter__()
    assert [found.id for found, _ in find_in(guest_one)] == [record.id]


async def test_who_connects_removes_what_a_killed_program_has_left(
    agent: FakeAgent, guest_one: str
) -> None:
    HeldRecord.create(ContainerRecord("c1", guest_one, remove=True)).close()
    async with Guest.connect(guest_one):
        assert (await agent.received("RemoveContainer")).container_id == "c1"
        assert not list(find_in(guest_one))


async def test_a_guest_that_has_ended_meanwhile_is_no_error_of_its_record(
    agent: FakeAgent, guest_one: str
) -> None:
    async with Guest.connect(guest_one) as guest:
        directory_of(guest_one).rmdir()
        async with guest.container():
            pass
        directory_of(guest_one).mkdir()
    assert "CreateContainer" in agent.names()
