# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

import pytest

from kata_host.client.ended_start import start_or_end


async def test_a_caller_that_waits_has_the_answer() -> None:
    async def end(call: asyncio.Future[int]) -> None:
        raise AssertionError

    assert await start_or_end(asyncio.sleep(0, 7), end) == 7


async def test_a_caller_that_gives_up_ends_the_start_while_its_call_goes_on() -> None:
    answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    seen: list[int] = []

    async def start() -> int:
        return await answer

    async def end(call: asyncio.Future[int]) -> None:
        assert not call.done()
        answer.set_result(7)
        seen.append(await call)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await start_or_end(start(), end)
    assert seen == [7]
