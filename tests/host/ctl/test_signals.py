# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import os
import signal

import pytest

from kata_host.ctl.errors import EndedBySignal
from kata_host.ctl.signals import ended_by_signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_ends_the_block_and_then_the_command(
    number: signal.Signals,
) -> None:
    released = []

    async def command() -> None:
        with ended_by_signals("ended by "):
            try:
                os.kill(os.getpid(), number)
                await asyncio.Event().wait()
            finally:
                released.append("what the command holds")

    with pytest.raises(EndedBySignal, match=f"ended by {number.name}") as error:
        await command()
    assert error.value.status == 128 + number
    assert released
    assert signal.getsignal(number) == signal.SIG_DFL


async def test_a_cancelled_task_is_no_signal() -> None:
    async def wait() -> None:
        with ended_by_signals():
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)  # Until the block waits.
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
