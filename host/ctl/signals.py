# SPDX-License-Identifier: Apache-2.0
"""Signals that end a command only after the command has released its resources."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Iterator
from typing import Final

from kata_host.ctl.errors import EndedBySignal

ENDING: Final = (signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def ended_by_signals(reason: str = "") -> Iterator[None]:
    """Cancel this task at a SIGTERM or SIGHUP, and raise `EndedBySignal` afterwards.

    The error's text is `reason` and the signal's name.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    assert task is not None
    received: list[signal.Signals] = []

    def end(number: signal.Signals) -> None:
        received.append(number)
        task.cancel()

    for number in ENDING:
        loop.add_signal_handler(number, end, number)
    try:
        yield
    except asyncio.CancelledError:
        if not received:
            raise
        text = f"{reason}{received[0].name}"
        raise EndedBySignal(text, received[0]) from None
    finally:
        for number in ENDING:
            loop.remove_signal_handler(number)
