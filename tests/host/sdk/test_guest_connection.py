# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from kata_host.errors import (
    AgentError,
    CannotExecute,
    FileError,
    GuestEnded,
    NotFound,
    SandboxError,
)
from kata_host.sdk.guest_connection import GuestConnection
from kata_host.sdk.thread_guest import ThreadGuest
from tests.helpers.fake_agent import FakeAgent
from ttrpc.codes import Code
from ttrpc.errors import Closed, OversizedMessage, StatusError


class Held:
    """A guest whose agent is elsewhere."""

    def __init__(self, address: str, ending: str | None = None) -> None:
        self.address = address
        self.ends = ending
        self.is_stopped = False

    async def start(self) -> str:
        return self.address

    async def stop(self) -> None:
        self.is_stopped = True

    async def ending(self, patience: float = 0) -> str | None:
        return self.ends


def refusal(message: str) -> StatusError:
    return StatusError(Code.INTERNAL, message)


def connecting(held: Held) -> Any:
    return GuestConnection.start(cast(ThreadGuest, held))


async def test_a_guest_of_this_program_has_a_sandbox_and_ends_with_the_connection(
    agent: FakeAgent, address: str
) -> None:
    held = Held(address)
    connection = await connecting(held)
    assert agent.names() == ["CreateSandbox"]
    assert not held.is_stopped
    await connection.close()
    assert held.is_stopped


async def test_a_guest_that_ends_before_its_agent_listens_says_how(
    tmp_path: Path,
) -> None:
    held = Held(f"unix://{tmp_path}/none", "powered off: oh")
    with pytest.raises(GuestEnded, match="^guest: powered off: oh$"):
        await connecting(held)
    assert held.is_stopped


async def test_a_guest_whose_agent_refuses_is_stopped(
    agent: FakeAgent, address: str
) -> None:
    agent.refused = {"CreateSandbox"}
    held = Held(address)
    with pytest.raises(AgentError, match="CreateSandbox refused") as raised:
        await connecting(held)
    assert raised.value.code is Code.INTERNAL
    assert isinstance(raised.value.__cause__, StatusError)
    assert held.is_stopped


async def test_a_guest_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with pytest.raises(GuestEnded, match=f"guest 'unix://{tmp_path}/none': "):
        await GuestConnection.to(f"unix://{tmp_path}/none", 0.1)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (StatusError(Code.NOT_FOUND, "container 'a': not found"), NotFound),
        (refusal("c: create failed: the file x was not found ("), NotFound),
        (refusal("c: exec failed: open executable: no"), CannotExecute),
        (refusal("c: broken"), AgentError),
        (OversizedMessage(1, 5, 4), AgentError),
        (Closed("lost"), GuestEnded),
        (ConnectionResetError(104, "lost"), GuestEnded),
        (FileNotFoundError(2, "No such file", "/x"), NotFound),
        (PermissionError(13, "Permission denied", "/x"), FileError),
    ],
)
async def test_every_error_of_a_connection_is_one_of_the_tree(
    address: str, error: Exception, kind: type[SandboxError]
) -> None:
    connection = await GuestConnection.to(address, 5)
    with pytest.raises(SandboxError) as raised:
        async with connection.explained():
            raise error
    assert type(raised.value) is kind
    assert raised.value.__cause__ is error
    await connection.close()


async def test_the_words_of_a_guest_write_nothing_else_to_a_terminal(
    address: str,
) -> None:
    connection = await GuestConnection.to(address, 5)
    for error in (refusal("\x1b[2J\nx"), Closed("\x1b[2J\nx")):
        with pytest.raises(SandboxError, match=r"\\x1b\[2J\\nx$"):
            async with connection.explained():
                raise error
    await connection.close()


async def test_another_error_stays_what_it_is(address: str) -> None:
    connection = await GuestConnection.to(address, 5)
    with pytest.raises(KeyError):
        async with connection.explained():
            raise KeyError
    await connection.close()
