# SPDX-License-Identifier: Apache-2.0
"""Operations that outlive their callers."""

from __future__ import annotations

import asyncio

import pytest

from kata_agent.sandbox.operations import Operations


async def test_an_operation_outlives_its_caller() -> None:
    operations = Operations()
    began, go_on, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def operation() -> None:
        began.set()
        await go_on.wait()
        ended.set()

    caller = asyncio.create_task(operations.complete(operation()))
    await began.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    go_on.set()
    await ended.wait()


async def test_results_and_errors_reach_the_caller() -> None:
    operations = Operations()

    async def succeed() -> int:
        return 7

    async def fail() -> None:
        raise ValueError("x")

    assert await operations.complete(succeed()) == 7
    with pytest.raises(ValueError, match="x"):
        await operations.complete(fail())
