# SPDX-License-Identifier: Apache-2.0
"""Many containers in one sandbox: `python -m bench.scale`.

500 containers are created, 100 at once, and wait side by side; then each writes
output and exits with a status of its own. While they wait, the agent's memory is
measured, and creations in turn with those of an agent without containers. Afterwards
the agent must hold no more descriptors, mounts and so on than before. Fails over the
limits. With `--write` the table goes to `bench/README.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from dataclasses import dataclass, fields
from typing import Final

from bench.document import replace_section
from bench.stage import (
    Footprint,
    Stage,
    agent_pid,
    footprint,
    open_stage,
    quiet_footprint,
    resident,
)
from kata_host.client import GuestContainer

CONTAINERS: Final = 500
AT_ONCE: Final = 100
ROUNDS: Final = 60
WARM_UP: Final = 20
MEMORY_LIMIT_KIB: Final = 50.0
CREATION_LIMIT: Final = 1.2
SETTLING: Final = 10.0
"""Seconds within which the last orphans are reaped."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The cost of many containers."""

    containers: int
    at_once: int
    created_ms: float
    """For each container, `at_once` at a time."""
    memory_kib: float
    """Resident memory of the agent for each idle container."""
    creation: float
    """The ratio of a creation beside all of them to one of an agent without any."""
    ended_ms: float
    """For each container: write, read, wait and remove."""


async def fill(
    stage: Stage, count: int, at_once: int, first: int = 0
) -> list[GuestContainer]:
    """Create and start `count` containers that wait for a line; number them."""
    slots = asyncio.Semaphore(at_once)

    async def one(number: int) -> GuestContainer:
        script = f"read line; echo out {number}; echo err >&2; exit {number % 251}"
        async with slots:
            return await stage.started(f"many-{number}", "sh", "-c", script)

    return await asyncio.gather(*map(one, range(first, first + count)))


async def finish(containers: list[GuestContainer]) -> None:
    """End each, check its output and status, remove it. Raises `AssertionError`."""

    async def one(number: int, container: GuestContainer) -> None:
        result = await container.init.communicate(b"\n")
        found = (result.status, result.stdout, result.stderr)
        assert found == (number % 251, b"out %d\n" % number, b"err\n"), found
        await container.remove()

    await asyncio.gather(*(one(*each) for each in enumerate(containers)))


async def compare_creation(full: Stage, empty: Stage, rounds: int) -> float:
    """Return the median ratio of creations of the full agent to the empty one's."""
    ratios = []
    for number in range(rounds):
        seconds = []
        for stage in (full, empty):
            began = time.perf_counter()
            container = await stage.created(f"one-{number}", "true")
            seconds.append(time.perf_counter() - began)
            await container.remove()
        ratios.append(seconds[0] / seconds[1])
    return statistics.median(ratios)


async def check_nothing_is_left(stage: Stage, before: Footprint) -> None:
    """Wait until the agent's footprint is the one of before.

    Raises `AssertionError` with the differences.
    """
    deadline = time.monotonic() + SETTLING
    while (after := footprint(stage.guest)) != before:
        if time.monotonic() > deadline:
            raise AssertionError(differences(before, after))
        await asyncio.sleep(0.05)


def differences(
    before: Footprint, after: Footprint
) -> dict[str, tuple[object, object]]:
    """Return the fields that differ, each with its value before and after."""
    pairs = {
        field.name: (getattr(before, field.name), getattr(after, field.name))
        for field in fields(Footprint)
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


async def run(containers: int, at_once: int, rounds: int) -> Figures:
    async with open_stage() as stage, open_stage() as empty:
        # Warm up: some objects are made once, and the interpreter keeps memory.
        for each in (stage, empty):
            await finish(await fill(each, WARM_UP, at_once))
        before = await quiet_footprint(stage.guest)
        pid = agent_pid(stage.guest)
        memory = resident(pid)
        began = time.perf_counter()
        started = await fill(stage, containers, at_once)
        filled = time.perf_counter() - began
        grown = resident(pid) - memory
        creation = await compare_creation(stage, empty, rounds)
        began = time.perf_counter()
        await finish(started)
        ended = time.perf_counter() - began
        await check_nothing_is_left(stage, before)
    return Figures(
        containers,
        at_once,
        filled / containers * 1e3,
        grown / containers / 1024,
        creation,
        ended / containers * 1e3,
    )


def table(figures: Figures) -> str:
    count, at_once = figures.containers, figures.at_once
    return "\n".join(
        [
            f"| {count} containers in one sandbox, {at_once} at once | | limit |",
            "|---|---|---|",
            f"| created and started, each | {figures.created_ms:.1f} ms | |",
            f"| resident memory of the agent, each idle container "
            f"| {figures.memory_kib:.1f} KiB | {MEMORY_LIMIT_KIB:g} KiB |",
            f"| creation beside {count}, against an agent without any "
            f"| {figures.creation:.2f} | {CREATION_LIMIT} |",
            f"| written to, read, waited for, removed, each "
            f"| {figures.ended_ms:.1f} ms | |",
            "| descriptors, threads, mounts, cgroups, files, zombies left | 0 | 0 |",
        ]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="Many containers in one sandbox.")
    parser.add_argument("--containers", type=int, default=CONTAINERS)
    parser.add_argument("--at-once", type=int, default=AT_ONCE)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--write", action="store_true", help="keep the figures")
    options = parser.parse_args()
    figures = asyncio.run(run(options.containers, options.at_once, options.rounds))
    print(table(figures))
    if options.write:
        replace_section("scale", table(figures))
    return int(
        figures.memory_kib > MEMORY_LIMIT_KIB or figures.creation > CREATION_LIMIT
    )


if __name__ == "__main__":
    sys.exit(main())
