# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

import pytest

from ttrpc.aio.mux_connection import INBOX_SIZE, MuxConnection


async def drop(data: bytes) -> None:
    pass


def connection() -> MuxConnection:
    return MuxConnection(drop, lambda: None)


async def test_pieces_are_received_together() -> None:
    it = connection()
    for piece in (b"a", b"bc"):
        await it.put(piece)
    assert await it.receive() == b"abc"
    receiving = asyncio.create_task(it.receive())
    await asyncio.sleep(0)
    await it.put(b"d")
    assert await receiving == b"d"


async def test_the_last_bytes_come_before_the_end() -> None:
    it = connection()
    await it.put(b"a")
    it.end()
    assert await it.receive() == b"a"
    assert await it.receive() == b""
    assert await it.receive() == b""


async def test_a_receiver_is_told_of_the_end() -> None:
    for error in (None, OSError("broken")):
        it = connection()
        receiving = asyncio.create_task(it.receive())
        await asyncio.sleep(0)
        it.end(error)
        if error is None:
            assert await receiving == b""
        else:
            with pytest.raises(OSError, match="^broken$"):
                await receiving


async def test_what_is_not_received_is_waited_for() -> None:
    it = connection()
    for end in ("received", "closed"):
        putting = asyncio.create_task(it.put(bytes(INBOX_SIZE)))
        await asyncio.sleep(0)
        assert not putting.done()
        if end == "received":
            assert len(await it.receive()) == INBOX_SIZE
        else:
            it.close()
        async with asyncio.timeout(10):
            await putting
