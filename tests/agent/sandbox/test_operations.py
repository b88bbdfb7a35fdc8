# SPDX-License-Identifier: Apache-2.0
"""Operations that outlive their callers."""

from __future__ import annotations

import asyncio
import logging

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


async def test_an_operation_that_is_attended_ends_with_its_caller() -> None:
    operations = Operations()
    began, undone = asyncio.Event(), asyncio.Event()

    async def operation() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            undone.set()

    caller = asyncio.create_task(operations.attend(operation()))
    await began.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert not undone.is_set()
    await undone.wait()


async def test_the_error_of_an_operation_is_logged_if_its_caller_has_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    operations = Operations()
    go_on = asyncio.Event()

    async def fail() -> None:
        await go_on.wait()
        raise ValueError("x")

    stays = asyncio.create_task(operations.complete(fail()))
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(ValueError, match="x"):
        await stays
    assert caplog.records == []

    go_on.clear()
    leaves = asyncio.create_task(operations.complete(fail()))
    await asyncio.sleep(0)
    leaves.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaves
    abandoned = operations.start(fail())
    operations.abandon(abandoned)
    go_on.set()
    with pytest.raises(ValueError, match="x"):
        await abandoned
    await asyncio.sleep(0)
    assert [record.message for record in caplog.records] == ["operation failed"] * 2


async def test_results_and_errors_reach_the_caller() -> None:
    operations = Operations()

    async def succeed() -> int:
        return 7

    async def fail() -> None:
        raise ValueError("x")

    assert await operations.complete(succeed()) == 7
    with pytest.raises(ValueError, match="x"):
        await operations.complete(fail())
