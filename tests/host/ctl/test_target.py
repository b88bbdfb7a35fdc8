# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from kata_host.ctl.errors import CommandError, UsageError
from kata_host.ctl.target import CONNECT_TIMEOUT, Target
from kata_host.guest.guest import OwnGuest
from tests.helpers.fake_agent import FakeAgent
from tests.helpers.hybrid import HANG_UP, vmm
from ttrpc.codes import Code
from ttrpc.errors import Closed, StatusError


class EndedGuest:
    """A guest that has ended, and the last line of its console."""

    def ending(self, timeout: float = 0) -> str | None:
        return "SIGKILL"

    def console_tail(self, lines: int = 20) -> Sequence[str]:
        return ["out of memory"]


ENDED = cast(OwnGuest, EndedGuest())


def options_for(guest: str) -> argparse.Namespace:
    return argparse.Namespace(guest=guest, connect_timeout=CONNECT_TIMEOUT)


async def test_a_client_talks_to_the_agent(agent: FakeAgent, address: str) -> None:
    async with Target.of(options_for(address)).client() as client:
        await client.create_sandbox("s1")
    assert agent.names() == ["CreateSandbox"]


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (StatusError(Code.NOT_FOUND, "container 'c1'"), "NOT_FOUND: container 'c1'"),
        (Closed("lost"), "lost"),
        (FileNotFoundError(2, "No such file", "/x"), "/x"),
        (ValueError("bad"), "bad"),
        (OSError(), "OSError"),
    ],
)
async def test_an_error_of_the_block_is_one_of_the_command(
    address: str, error: Exception, message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        async with Target(address).client():
            raise error


async def test_an_error_of_a_task_group_is_the_first_of_its_tasks(address: str) -> None:
    async def fail() -> None:
        raise Closed("lost")

    with pytest.raises(CommandError, match="lost"):
        async with Target(address).client(), asyncio.TaskGroup() as group:
            group.create_task(fail())


async def test_an_error_of_the_program_stays_what_it_is(address: str) -> None:
    with pytest.raises(KeyError):
        async with Target(address).client():
            raise KeyError


async def test_a_guest_that_has_ended_is_the_cause(address: str) -> None:
    with pytest.raises(CommandError) as error:
        async with Target(address, ENDED).client():
            raise Closed("lost")
    assert str(error.value) == "guest ended: SIGKILL: out of memory"


async def test_an_answer_of_the_agent_needs_no_other_cause(address: str) -> None:
    with pytest.raises(CommandError, match="INTERNAL"):
        async with Target(address, ENDED).client():
            raise StatusError(Code.INTERNAL, "refused")


async def test_the_agent_of_a_guest_that_has_ended_is_not_waited_for(
    tmp_path: Path,
) -> None:
    target = Target(f"unix://{tmp_path}/nobody", ENDED, timeout=600)
    with pytest.raises(CommandError, match="guest ended"):
        async with target.client():
            pytest.fail("connected")


async def test_another_port_of_the_guest_is_dialled(tmp_path: Path) -> None:
    with vmm(tmp_path / "g", b"OK 1\n") as host:
        with await Target(f"hvsock://{tmp_path}/g:1024").dial(1025):
            pass
    assert host.asked == [b"CONNECT 1025\n"]


async def test_nobody_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kata_host.ctl.target.CONNECT_TIMEOUT", 1e9)
    left = tmp_path / "left"
    with socket.socket(socket.AF_UNIX) as ended:
        ended.bind(str(left))
    for path in (tmp_path / "none", left, left / "below"):
        target = Target(f"hvsock://{path}:1024")
        with pytest.raises(CommandError, match=f"{path}"):
            await target.dial(1025)
        with pytest.raises(CommandError, match=f"{path}"):
            async with target.client():
                pytest.fail("connected")


async def test_a_guest_that_boots_is_waited_for(tmp_path: Path) -> None:
    with vmm(tmp_path / "g", HANG_UP, HANG_UP, b"OK 1\n"):
        with await Target(f"hvsock://{tmp_path}/g:1024").dial(1025):
            pass


async def test_a_port_that_does_not_answer_is_named(tmp_path: Path) -> None:
    target = Target(f"hvsock://{tmp_path}/nobody:1024", timeout=0.01)
    with pytest.raises(CommandError, match="nobody:1025"):
        await target.dial(1025)


async def test_a_unix_address_has_no_other_port() -> None:
    with pytest.raises(UsageError, match="unix:///a"):
        await Target("unix:///a").dial(1025)
