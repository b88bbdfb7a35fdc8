# SPDX-License-Identifier: Apache-2.0
"""System calls in threads."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import weakref

import pytest

from kata_agent.blocking import blocking, uninterrupted


async def test_the_result_of_the_function_is_returned() -> None:
    assert await blocking(divmod, 7, 2) == (3, 1)


async def test_none_is_a_result() -> None:
    assert await blocking(lambda: None) is None


async def test_the_error_of_the_function_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        await blocking(divmod, 1, 0)


async def test_hanging_calls_do_not_keep_others_from_running() -> None:
    release = threading.Event()
    hanging = [asyncio.create_task(blocking(release.wait)) for _ in range(100)]
    assert await blocking(lambda: "through") == "through"
    release.set()
    assert await asyncio.gather(*hanging) == [True] * 100


async def test_a_cancelled_caller_leaves_the_thread_behind() -> None:
    started, release, ended = (threading.Event() for _ in range(3))

    def hang() -> None:
        started.set()
        release.wait()
        ended.set()

    task = asyncio.create_task(blocking(hang))
    await blocking(started.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()
    await blocking(ended.wait)


async def test_a_cancelled_caller_waits_for_a_call_that_is_uninterrupted() -> None:
    assert await uninterrupted(divmod, 7, 2) == (3, 1)
    started, release, ended = (threading.Event() for _ in range(3))

    def hang() -> None:
        started.set()
        release.wait()
        ended.set()
        raise ZeroDivisionError

    task = asyncio.create_task(uninterrupted(hang))
    await blocking(started.wait)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


def test_a_result_after_the_loop_has_closed_is_dropped() -> None:
    release, ended = threading.Event(), threading.Event()

    def hang() -> None:
        release.wait()
        ended.set()

    async def abandon() -> None:
        task = asyncio.create_task(blocking(hang))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(abandon())
    release.set()
    # pytest reports a thread that failed.
    assert ended.wait(10)


async def test_a_failed_call_keeps_nothing_alive() -> None:
    """What its frames own (an open walk, say) is not left to the garbage collector."""
    owned: list[weakref.ref[object]] = []

    class Owned:
        pass

    def fail() -> None:
        mine = Owned()
        owned.append(weakref.ref(mine))
        raise OSError("no")

    gc.disable()
    try:
        with contextlib.suppress(OSError):
            await blocking(fail)
        async with asyncio.timeout(10):
            # The thread ends a moment after the call.
            while owned[0]() is not None:
                await asyncio.sleep(0)
    finally:
        gc.enable()
