# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
from signal import SIGKILL

import pytest

from kata_host.client import AgentClient
from kata_host.ctl.copy_place import GuestPlace, parse_place
from kata_host.ctl.errors import CommandError
from kata_host.ctl.guest_tar import GuestTar
from kata_host.keeper.record import ContainerState
from kata_host.keeper.records import find_in
from tests.helpers.fake_agent import FakeAgent

OPTIONS = argparse.Namespace(guest=None, connect_timeout=None)


async def test_a_program_runs_as_root_in_the_container(
    agent: FakeAgent, address: str, guest_one: str
) -> None:
    place = parse_place("one/c1:/x", OPTIONS)
    assert isinstance(place, GuestPlace)
    async with AgentClient.connect(address) as client:
        async with GuestTar(client, place).ready() as guest:
            assert not await guest.is_directory("/x")
            agent.status = 0
            assert await guest.is_directory("/x")
            request = await agent.received("ExecProcess")
            assert request.container_id == "c1"
            assert list(request.process.Args) == ["test", "-d", "/x"]
            assert (request.string_user.uid, request.process.Cwd) == ("0", "/")
            agent.status = 2
            async with guest.running(["tar"]) as (process, errors):
                assert await errors == b""
                with pytest.raises(CommandError, match="cp: tar: no such file"):
                    await guest.finish(process, b"tar: no such file\nmore\n")
            agent.refused = {"ExecProcess"}
            with pytest.raises(CommandError, match="ExecProcess refused"):
                async with guest.running(["tar"]):
                    pytest.fail("started")
    assert "CreateContainer" not in agent.names()


async def test_the_files_of_the_guest_are_seen_by_a_container_of_ours(
    agent: FakeAgent, address: str, guest_one: str
) -> None:
    place = parse_place("one:/x", OPTIONS)
    assert isinstance(place, GuestPlace)
    agent.stdout, agent.status = [b"shared\n"], 0
    async with AgentClient.connect(address) as client:
        async with GuestTar(client, place).ready() as guest:
            prepared = await agent.received("ExecProcess")
            assert "CAP_SYS_ADMIN" in prepared.process.Capabilities.Effective
            agent.status = 2
            async with guest.running(["tar", "-c"]) as (process, _):
                with pytest.raises(CommandError, match="the root of a local guest is"):
                    await guest.finish(process, b"tar: /x: Read-only file system\n")
            async with guest.running(["tar", "-c"]):
                # For `ps`, which removes it if this command is killed.
                ((record, state),) = find_in("one")
                assert (record.remove, state) == (True, ContainerState.RUNNING)
            created = await agent.received("CreateContainer")
            assert created.OCI.Mounts[-1].source == "/"
            request = await agent.received("ExecProcess")
            assert list(request.process.Args) == ["chroot", "/guest/own", "tar", "-c"]
    assert agent.names()[-1] == "RemoveContainer"
    assert not list(find_in("one"))


async def test_a_program_is_ended_with_a_copy_that_fails(
    agent: FakeAgent, address: str, guest_one: str
) -> None:
    place = parse_place("one/c1:/x", OPTIONS)
    assert isinstance(place, GuestPlace)
    async with AgentClient.connect(address) as client:
        async with GuestTar(client, place).ready() as guest:
            with pytest.raises(RuntimeError, match="of the copy"):
                async with guest.running(["tar", "-c"]) as (process, _):
                    raise RuntimeError("of the copy")
            request = await agent.received("SignalProcess")
            assert (request.exec_id, request.signal) == (process.exec_id, SIGKILL)
            assert (await agent.received("WaitProcess")).exec_id == process.exec_id
