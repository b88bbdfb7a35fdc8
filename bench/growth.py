# SPDX-License-Identifier: Apache-2.0
"""What grows with the number of containers in a sandbox: `python -m bench.growth`.

Containers are added until there are as many as the next row says, and all of them
wait. Then single containers are created and removed one after another, in turn with
those of an agent without any, `Check` is called, and the agent's memory, descriptors
and threads are counted. At the end each container writes and exits, and the agent must
hold no more than before. With `--write` the table goes to `bench/README.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from bench.document import replace_section
from bench.scale import AT_ONCE, WARM_UP, check_nothing_is_left, fill, finish
from bench.stage import Stage, agent_pid, open_stage, quiet_footprint
from kata_host.client import GuestContainer

COUNTS: Final = (0, 100, 500, 1000, 2000)
CREATIONS: Final = 40
CHECKS: Final = 500


@dataclass(frozen=True, slots=True)
class Row:
    """The agent beside a number of containers that wait."""

    containers: int
    creation_ms: float
    """Of one more, by itself."""
    elsewhere_ms: float
    """Of one by another agent of the same host, which has none."""
    removal_ms: float
    check_ms: float
    pss_mib: float
    descriptors: int
    threads: int
    mounts: int


async def grow(
    stage: Stage, empty: Stage, counts: Sequence[int], creations: int
) -> list[Row]:
    """Measure beside each number of containers, in rising order."""
    rows: list[Row] = []
    started: list[GuestContainer] = []
    # The interpreter and the allocator keep what the first containers made them take.
    await finish(await fill(stage, WARM_UP, AT_ONCE))
    before = await quiet_footprint(stage.guest)
    for count in counts:
        started += await fill(stage, count - len(started), AT_ONCE, len(started))
        rows.append(await measure(stage, empty, count, creations))
    await finish(started)
    await check_nothing_is_left(stage, before)
    return rows


async def measure(stage: Stage, empty: Stage, count: int, creations: int) -> Row:
    """Measure the agent as it is."""
    created, elsewhere, removed = [], [], []
    for number in range(creations):
        name = f"one-{number}"
        created.append(await milliseconds(partial(stage.created, name, "true")))
        elsewhere.append(await milliseconds(partial(empty.created, name, "true")))
        await empty.client.container(name).remove()
        removed.append(await milliseconds(stage.client.container(name).remove))
    checks = [await milliseconds(stage.client.check) for _ in range(CHECKS)]
    held = await quiet_footprint(stage.guest)
    return Row(
        count,
        statistics.median(created),
        statistics.median(elsewhere),
        statistics.median(removed),
        statistics.median(checks),
        pss(agent_pid(stage.guest)) / 2**20,
        len(held.descriptors),
        held.threads,
        len(held.mounts),
    )


async def milliseconds(work: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await work()
    return (time.perf_counter() - began) * 1000


def pss(pid: int) -> int:
    """Return a process's proportional share of memory in bytes (man 5 proc)."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(rollup.split("\nPss:")[1].split()[0]) << 10


def table(rows: Sequence[Row]) -> str:
    lines = [
        "| containers that wait | creation of one more, ms"
        " | by another agent without any, ms | its removal, ms"
        " | `Check`, ms | the agent's PSS, MiB | descriptors | threads | mounts |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.containers:,} | {row.creation_ms:.1f} | {row.elsewhere_ms:.1f}"
        f" | {row.removal_ms:.1f}"
        f" | {row.check_ms:.2f} | {row.pss_mib:.1f} | {row.descriptors:,}"
        f" | {row.threads} | {row.mounts} |"
        for row in rows
    ]
    return "\n".join(lines)


async def run(counts: Sequence[int], creations: int) -> list[Row]:
    async with open_stage() as stage, open_stage() as empty:
        return await grow(stage, empty, counts, creations)


def main() -> int:
    parser = argparse.ArgumentParser(
        description="What grows with the number of containers in a sandbox."
    )
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--creations", type=int, default=CREATIONS, help="in each row")
    parser.add_argument("--write", action="store_true", help="keep the figures")
    options = parser.parse_args()
    text = table(asyncio.run(run(sorted(options.counts), options.creations)))
    print(text)
    if options.write:
        replace_section("growth", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
