# SPDX-License-Identifier: Apache-2.0
"""VM guests that are booted, restored from a snapshot, and taken from a pool.

python -m bench.starts            measure and print
python -m bench.starts --write    the same, and keep the figures

The three take turns. One guest is restored first, which makes the snapshot if need be.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from bench.vm_program import run_program
from kata_host import Guest, Pool
from kata_host.guest.image.store import Image

ROUNDS: Final = 7
COMMAND: Final = ("true",)


@dataclass(frozen=True, slots=True)
class Start:
    """Milliseconds since the guest was asked for."""

    ready: float
    """Until its agent has answered."""
    command: float
    """Until a command in a container of its own has ended."""


async def fresh(*, warm: bool) -> Start:
    """Start a guest for one command."""
    asked = time.monotonic()
    async with Guest.vm(warm=warm) as guest:
        ready = _milliseconds(asked)
        (await guest.run(COMMAND)).check()
        return Start(ready, _milliseconds(asked))


async def pooled() -> Start:
    """Take a guest that a pool has kept ready."""
    started = asyncio.Event()

    class Announced(Guest):
        async def start(self) -> Announced:
            await super().start()
            started.set()
            return self

    async with Pool(1, Announced.vm) as pool:
        await started.wait()
        # Until the pool has put the guest where it takes it from.
        await asyncio.sleep(0)
        asked = time.monotonic()
        async with pool.guest() as guest:
            ready = _milliseconds(asked)
            (await guest.run(COMMAND)).check()
            return Start(ready, _milliseconds(asked))


WAYS: Final[dict[str, Callable[[], Awaitable[Start]]]] = {
    "booted: `Guest.vm()`": partial(fresh, warm=False),
    "restored: `Guest.vm(warm=True)`": partial(fresh, warm=True),
    "kept ready: a guest of `Pool(n, Guest.vm)`": pooled,
}


def measure(image: Image, rounds: int) -> dict[str, list[Start]]:
    """Return the starts of each way, which take turns."""
    return asyncio.run(_measure(rounds))


async def _measure(rounds: int) -> dict[str, list[Start]]:
    await fresh(warm=True)
    starts: dict[str, list[Start]] = {name: [] for name in WAYS}
    for _ in range(rounds):
        for name, way in WAYS.items():
            starts[name].append(await way())
    return starts


def table(starts: dict[str, list[Start]], machine: str) -> str:
    """Return the medians, each with the least and the most."""
    rounds = min(map(len, starts.values()))
    lines = [
        f"Medians of {rounds} starts (least to most), {machine}, 512 MiB.",
        "",
        "| guest | ready, ms | first command has ended, ms |",
        "|---|---|---|",
    ]
    for name, each in starts.items():
        ready = _spread([start.ready for start in each])
        command = _spread([start.command for start in each])
        lines.append(f"| {name} | {ready} | {command} |")
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    median = statistics.median(values)
    return f"{median:,.0f} ({min(values):,.0f} to {max(values):,.0f})"


def _milliseconds(since: float) -> float:
    return (time.monotonic() - since) * 1000


if __name__ == "__main__":
    run_program("starts", __doc__, ROUNDS, measure, table)
