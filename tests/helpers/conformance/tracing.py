# SPDX-License-Identifier: Apache-2.0
"""StartTracing and StopTracing, which only Kata 1.x had."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from kata_protos import agent_pb2
from tests.helpers.conformance.case import Subject, case
from ttrpc.codes import Code
from ttrpc.errors import StatusError

STATE = Code.FAILED_PRECONDITION
ABSENT = Code.UNIMPLEMENTED


async def start(s: Subject) -> None:
    await s.agent.start_tracing(agent_pb2.StartTracingRequest())


async def stop(s: Subject) -> None:
    await s.agent.stop_tracing(agent_pb2.StopTracingRequest())


@contextlib.asynccontextmanager
async def off_afterwards(s: Subject) -> AsyncIterator[None]:
    try:
        yield
    finally:
        with contextlib.suppress(StatusError):
            await stop(s)


@case("StartTracing", "happy", Code.OK, "", ABSENT)
async def traced(s: Subject) -> None:
    async with off_afterwards(s):
        await start(s)
        await s.client.check()


@case("StartTracing", "repeated", STATE, "tracing already enabled", ABSENT)
async def started_twice(s: Subject) -> None:
    async with off_afterwards(s):
        await start(s)
        await start(s)


@case("StartTracing", "wrong state", Code.OK, "", ABSENT)
async def started_again(s: Subject) -> None:
    async with off_afterwards(s):
        for _ in range(2):
            await start(s)
            await stop(s)


@case("StartTracing", "concurrent", Code.OK, "", ABSENT)
async def one_start(s: Subject) -> None:
    async with off_afterwards(s):
        results = await asyncio.gather(
            *(start(s) for _ in range(5)), return_exceptions=True
        )
        if not s.is_ours and all(isinstance(r, StatusError) for r in results):
            raise StatusError(ABSENT, "")
        assert results.count(None) == 1, results


@case("StartTracing", "cancelled", Code.OK, "", ABSENT)
async def start_given_up(s: Subject) -> None:
    async with off_afterwards(s):
        await s.abandoned(start)
    await start(s)
    await stop(s)


@case("StopTracing", "happy", Code.OK, "", ABSENT)
async def stopped(s: Subject) -> None:
    await start(s)
    await stop(s)


@case("StopTracing", "wrong state", STATE, "tracing not enabled", ABSENT)
async def stopped_before_the_start(s: Subject) -> None:
    await stop(s)


@case("StopTracing", "repeated", STATE, "tracing not enabled", ABSENT)
async def stopped_twice(s: Subject) -> None:
    await start(s)
    await stop(s)
    await stop(s)


@case("StopTracing", "concurrent", Code.OK, "", ABSENT)
async def one_stop(s: Subject) -> None:
    await start(s)
    results = await asyncio.gather(*(stop(s) for _ in range(5)), return_exceptions=True)
    assert results.count(None) == 1, results


@case("StopTracing", "cancelled", Code.OK, "", ABSENT)
async def stop_given_up(s: Subject) -> None:
    await start(s)
    await s.abandoned(stop)
    # Tracing is off, or about to be.
    with contextlib.suppress(StatusError):
        await stop(s)
    await start(s)
    await stop(s)
