# SPDX-License-Identifier: Apache-2.0
"""Which calls a box makes; tests/e2e/test_sdk_box.py has real ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from kata_host import Guest, Result
from kata_host.errors import AgentError
from kata_host.sdk.tools import HOLD, PLACE
from tests.helpers.fake_agent import FakeAgent


@pytest.fixture
async def guest(address: str) -> AsyncIterator[Guest]:
    async with Guest.connect(address) as guest:
        yield guest


async def test_a_box_lives_as_long_as_its_block(agent: FakeAgent, guest: Guest) -> None:
    async with guest.container(env={"A": "1"}, cwd="/w", user=5) as box:
        create = await agent.received("CreateContainer")
        assert create.container_id == box.id
        assert tuple(create.OCI.Process.Args) == HOLD
        assert PLACE in [mount.destination for mount in create.OCI.Mounts]
        assert await box.run(["x"], env={"B": "2"}) == Result(7, b"", b"")
        process = (await agent.received("ExecProcess")).process
        assert {"A=1", "B=2"} <= {*process.Env}
        assert (process.Cwd, process.User.UID) == ("/w", 5)
        await box.run(["x"], cwd="/", user=0)
        process = (await agent.received("ExecProcess")).process
        assert (process.Cwd, process.User.UID) == ("/", 0)
        assert "RemoveContainer" not in agent.names()
    assert agent.names()[-1] == "RemoveContainer"


async def test_a_process_on_a_terminal_has_its_size(
    agent: FakeAgent, guest: Guest
) -> None:
    async with guest.container() as box, box.start(["x"], tty=(24, 80)):
        process = (await agent.received("ExecProcess")).process
        size = process.ConsoleSize
        assert (process.Terminal, size.Height, size.Width) == (True, 24, 80)


async def test_a_box_that_does_not_start_is_removed(
    agent: FakeAgent, guest: Guest
) -> None:
    agent.refused = {"StartContainer"}
    with pytest.raises(AgentError, match="StartContainer refused"):
        await guest.container().__aenter__()
    assert agent.names()[-1] == "RemoveContainer"


@pytest.mark.parametrize("args", ["ls -l", []])
async def test_a_command_is_a_list_of_words(guest: Guest, args: Any) -> None:
    async with guest.container() as box:
        with pytest.raises(ValueError, match="not a list of words"):
            await box.run(args)
