# SPDX-License-Identifier: Apache-2.0
"""The agent with an event loop that keeps a record of its long turns.

`record_command(FILE)` is the agent's command. A turn lasts from the moment at which the
loop learns what is ready to the moment at which it asks again; every other call waits
for that long. The record has a line `END LENGTH CPU` in nanoseconds (CLOCK_MONOTONIC,
and of the loop's thread on a CPU) for each turn of `KEPT` or longer.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

KEPT: Final = 0.002
"""Seconds."""
_ROOT: Final = Path(__file__).parent.parent


class Turn(NamedTuple):
    """One turn of the loop, in seconds of CLOCK_MONOTONIC."""

    end: float
    length: float
    cpu: float
    """The part of the length in which the loop's thread ran: not waiting for a CPU,
    which a busy machine gives to others, nor for the interpreter's lock."""


class RecordingSelector(selectors.EpollSelector):
    """Tells turns by the calls of `select`."""

    def __init__(self, record: Path) -> None:
        super().__init__()
        self._record = os.open(record, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._began = time.monotonic_ns()
        self._ran = time.thread_time_ns()

    def close(self) -> None:
        super().close()
        os.close(self._record)

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        ended = time.monotonic_ns()
        if ended - self._began >= KEPT * 1e9:
            cpu = time.thread_time_ns() - self._ran
            line = f"{ended} {ended - self._began} {cpu}\n"
            os.write(self._record, line.encode())
        ready = super().select(timeout)
        self._began = time.monotonic_ns()
        self._ran = time.thread_time_ns()
        return ready


def record_command(record: Path) -> Sequence[str]:
    """Return the command of an agent that records its long turns in the file."""
    script = (
        f"import sys; sys.path.append({str(_ROOT)!r}); "
        "from bench.turns import main; sys.exit(main())"
    )
    return [sys.executable, "-P", "-c", script, str(record)]


def read_turns(record: Path) -> list[Turn]:
    """Return the turns so far.

    Raises `FileNotFoundError` if no loop of a running agent keeps the record.
    """
    lines = record.read_text().splitlines()
    return [Turn(*(int(word) / 1e9 for word in line.split())) for line in lines]


def main() -> int:
    """Run the agent; the record is the last argument."""
    from kata_agent.__main__ import main as run

    record = Path(sys.argv.pop())

    class Policy(asyncio.DefaultEventLoopPolicy):
        def new_event_loop(self) -> asyncio.AbstractEventLoop:
            return asyncio.SelectorEventLoop(RecordingSelector(record))

    asyncio.set_event_loop_policy(Policy())
    return run()
