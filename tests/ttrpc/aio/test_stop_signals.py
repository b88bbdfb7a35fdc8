# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import os
import signal

import pytest

from ttrpc.aio.stop_signals import stop_signals


async def test_each_signal_is_told_to_the_loop() -> None:
    stopped = asyncio.Event()
    with stop_signals([signal.SIGUSR1, signal.SIGUSR2], stopped.set):
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            os.kill(os.getpid(), number)
            await stopped.wait()
            stopped.clear()


async def test_the_handlers_before_are_put_back() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: seen.append(number))
    try:
        with stop_signals([signal.SIGUSR1], lambda: None):
            pass
        os.kill(os.getpid(), signal.SIGUSR1)
        assert seen == [signal.SIGUSR1]
    finally:
        signal.signal(signal.SIGUSR1, before)


async def test_a_handler_that_cannot_be_set_leaves_the_others_as_they_were() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with (
        pytest.raises(RuntimeError, match="cannot be caught"),
        stop_signals([signal.SIGUSR1, signal.SIGKILL], lambda: None),
    ):
        pass
    assert signal.getsignal(signal.SIGUSR1) is before


async def test_other_threads_cannot_take_signals() -> None:
    def use() -> None:
        async def inside() -> None:
            with stop_signals([signal.SIGUSR1], lambda: None):
                pass

        asyncio.run(inside())

    with pytest.raises(RuntimeError, match="main thread"):
        await asyncio.to_thread(use)
