# SPDX-License-Identifier: Apache-2.0
"""What the load generators in Python share: their options, and the clock.

Every generator makes the same steps and prints one JSON object: calls a second, and
latencies in microseconds. The one in Go (`tests/interop/bench`) does so too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

Step = Callable[[], Awaitable[object]]
"""One call, and what it got; the steps of one worker follow each other."""


class Options(Protocol):
    """Of one run."""

    addr: str
    """The path of the server's unix socket."""
    mode: str
    size: int
    """Bytes in a message."""
    inflight: int
    """Calls or streams at a time."""
    n: int
    """Calls in all."""
    warm: int
    """Calls before the clock starts."""


def main(program: str, load: Callable[[Options], Awaitable[dict[str, object]]]) -> None:
    """Read the options, load, and print the result."""
    parser = argparse.ArgumentParser(prog=program)
    parser.add_argument("-addr", required=True)
    parser.add_argument("-mode", choices=("unary", "bidi"), default="unary")
    parser.add_argument("-size", type=int, default=64)
    parser.add_argument("-inflight", type=int, default=1)
    parser.add_argument("-n", type=int, default=1000)
    parser.add_argument("-warm", type=int, default=100)
    options = parser.parse_args()

    async def run() -> dict[str, object]:
        return await load(options)

    print(json.dumps(asyncio.run(run())))


async def measure(
    steps: Sequence[Step], message: object, options: Options
) -> dict[str, object]:
    """Make the steps, each one's calls after each other and all steps at once.

    Raises:
        RuntimeError: a first call got something else than `message`, its echo.
    """
    for step in steps:
        if await step() != message:
            raise RuntimeError(f"{options.addr}: {options.mode}: answered without echo")
    warm = max(1, options.warm // len(steps))
    await asyncio.gather(*(work(step, warm) for step in steps))
    each = max(1, options.n // len(steps))
    start = time.perf_counter()
    measured = await asyncio.gather(*(work(step, each) for step in steps))
    elapsed = time.perf_counter() - start
    latencies = sorted(second for one in measured for second in one)
    return {
        "mode": options.mode,
        "size": options.size,
        "inflight": len(steps),
        "n": len(latencies),
        "seconds": elapsed,
        "rate": len(latencies) / elapsed,
        "p50_us": latencies[len(latencies) // 2] * 1e6,
        "p99_us": latencies[len(latencies) * 99 // 100] * 1e6,
    }


async def work(step: Step, count: int) -> list[float]:
    """Make `count` calls; return how long each took, in seconds."""
    clock = time.perf_counter
    latencies = []
    for _ in range(count):
        start = clock()
        await step()
        latencies.append(clock() - start)
    return latencies
