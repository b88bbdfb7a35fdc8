# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from kata_host.forwarding.listener import listen, place_of
from kata_host.forwarding.published_port import PublishedPort
from kata_host.interruption import INTERRUPTION
from kata_host.keeper.follow import follow, wait_for_end
from kata_host.keeper.held_record import HeldRecord
from kata_host.keeper.record import ContainerRecord
from kata_host.keeper.records import folder_of
from kata_host.keeper.spawn import let_go, spawned_keeper
from tests.helpers.fake_agent import FakeAgent, serving


@pytest.fixture(autouse=True)
def signals_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(INTERRUPTION, "finish", lambda: None)


@contextlib.asynccontextmanager
async def kept(address: str, **fields: bool) -> AsyncIterator[ContainerRecord]:
    """Have a container kept; the keeper ends by itself before the block does."""
    record = ContainerRecord("c1", "one", started=1.0, detached=True)
    held = HeldRecord.create(replace(record, **fields))  # type: ignore[arg-type]
    with spawned_keeper(held, address) as keeper:
        let_go(keeper, "c1")
    held.close()
    yield held.record
    assert await asyncio.to_thread(keeper.wait) == 0


async def test_the_output_and_the_status_are_kept(
    agent: FakeAgent, address: str, guest_one: str
) -> None:
    agent.stdout = [b"one\n", b"two\n"]
    async with kept(address) as record:
        ended = await wait_for_end(record)
    assert (ended.status, ended.error) == (7, "")
    output = [chunk.data async for chunk in follow(record)]
    assert output == [b"one\n", b"two\n"]
    assert "CloseStdin" in agent.names()
    assert "RemoveContainer" not in agent.names()


async def test_a_container_may_be_removed_at_its_end(
    agent: FakeAgent, address: str, guest_one: str
) -> None:
    agent.may_end.clear()
    async with kept(address, remove=True, interactive=True) as record:
        waiting = asyncio.ensure_future(wait_for_end(record))
        await agent.received("WaitProcess")
        agent.may_end.set()
        await agent.received("RemoveContainer")
        assert (await waiting).status == 7
    assert not folder_of("one", "c1").exists()
    assert "CloseStdin" not in agent.names()


async def test_the_end_of_the_guest_is_an_end(
    agent: FakeAgent, tmp_path: Path, guest_one: str
) -> None:
    agent.may_end.clear()
    guest = serving(agent, tmp_path / "other")
    async with kept(await guest.__aenter__()) as record:
        await agent.received("WaitProcess")
        waiting = asyncio.ensure_future(wait_for_end(record))
        await guest.__aexit__(None, None, None)
        ended = await waiting
    assert ended.status is None
    assert ended.error


async def test_ports_are_served_until_the_end(
    agent: FakeAgent, address: str, guest_one: str
) -> None:
    agent.may_end.clear()
    published = PublishedPort(80)
    record = ContainerRecord("c1", "one", started=1.0, detached=True)
    with listen(published) as first, listen(published) as second:
        listeners = (first, second)
        held = HeldRecord.create(record)
        held.write(ports=[f"{place_of(each)}:80" for each in listeners])
        fds = [each.fileno() for each in listeners]
        ports = [each.getsockname()[1] for each in listeners]
        with spawned_keeper(held, address, fds) as keeper:
            let_go(keeper, "c1")
        held.close()
    for port in ports:
        # The agent of this test forwards nothing, which a connection may learn at once.
        with pytest.raises(ConnectionResetError):
            await _read_all(port)
    agent.may_end.set()
    assert await asyncio.to_thread(keeper.wait) == 0
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", ports[0])


async def test_a_container_whose_command_is_killed_is_removed(
    agent: FakeAgent, address: str, guest_one: str
) -> None:
    held = HeldRecord.create(ContainerRecord("c1", "one", detached=True))
    with spawned_keeper(held, address) as keeper:
        assert keeper.stdin is not None
        # As the kernel does, when the command is killed.
        keeper.stdin.close()
        await agent.received("RemoveContainer")
        await asyncio.to_thread(keeper.wait)
    assert not folder_of("one", "c1").exists()
    held.close()


async def _read_all(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        return await reader.read()
    finally:
        writer.close()
