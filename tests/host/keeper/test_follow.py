# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

import pytest

from kata_host.guest.guest import GuestError
from kata_host.keeper.follow import follow, wait_for_end
from kata_host.keeper.held_record import HeldRecord
from kata_host.keeper.output_log import OutputLog
from kata_host.keeper.record import ContainerRecord


@pytest.fixture
def held(guest_one: str) -> HeldRecord:
    return HeldRecord.create(ContainerRecord("c1", "one", started=1.0, detached=True))


async def test_the_output_is_followed_to_the_end(held: HeldRecord) -> None:
    log = OutputLog(held.folder)
    log.write(1, b"old\nlast\n")
    seen: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def read() -> None:
        async for chunk in follow(held.record, lines=1):
            seen.put_nowait(chunk.data)
        seen.put_nowait(None)

    reading = asyncio.ensure_future(read())
    assert await seen.get() == b"last\n"
    log.write(2, b"new\n")
    assert await seen.get() == b"new\n"
    log.write(1, b"end\n")
    held.write(ended=2.0, status=3)
    # Also if all that is known is removed at once.
    held.remove()
    assert await seen.get() == b"end\n"
    assert await seen.get() is None
    await reading


async def test_what_is_there_is_read_without_waiting(held: HeldRecord) -> None:
    OutputLog(held.folder).write(1, b"all")
    assert [chunk.data async for chunk in follow(held.record, live=False)] == [b"all"]


async def test_the_end_is_waited_for(held: HeldRecord) -> None:
    waiting = asyncio.ensure_future(wait_for_end(held.record))
    await asyncio.sleep(0)
    held.write(ended=2.0, status=3)
    assert (await waiting).status == 3


async def test_a_container_whose_keeper_was_killed_has_no_end(held: HeldRecord) -> None:
    waiting = asyncio.ensure_future(wait_for_end(held.record))
    await asyncio.sleep(0)
    held.close()
    with pytest.raises(GuestError, match="container 'c1': the process that kept it"):
        await waiting


async def test_a_container_may_be_gone(held: HeldRecord) -> None:
    held.remove()
    with pytest.raises(GuestError, match="container 'c1': removed meanwhile"):
        await wait_for_end(held.record)
