# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

import pytest

from ttrpc.aio.pending_call import PendingCall
from ttrpc.errors import Closed


async def test_an_outcome_that_is_there_is_not_waited_for() -> None:
    call = PendingCall()
    call.payload = b""
    assert await call.outcome() == b"", "no bytes are an answer too"


async def test_the_task_goes_on_where_it_is_woken() -> None:
    call = PendingCall()
    waiting = asyncio.ensure_future(call.outcome())
    await asyncio.sleep(0)
    call.payload = b"hi"
    asyncio.get_running_loop().call_soon(call.wake)
    assert await waiting == b"hi"


async def test_an_error_is_raised_where_the_call_waits() -> None:
    call = PendingCall()
    waiting = asyncio.ensure_future(call.outcome())
    await asyncio.sleep(0)
    call.error = Closed("connection: gone")
    asyncio.get_running_loop().call_soon(call.wake)
    with pytest.raises(Closed, match="^connection: gone$"):
        await waiting


async def test_a_wake_up_without_an_outcome_is_no_outcome() -> None:
    call = PendingCall()
    waiting = asyncio.ensure_future(call.outcome())
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_soon(call.wake)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
