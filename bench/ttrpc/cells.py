# SPDX-License-Identifier: Apache-2.0
"""Run the matrix: every cell on all sides in turn, several rounds, medians."""

from __future__ import annotations

import json
import statistics
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bench.ttrpc.peers import OURS, environment
from tests.helpers.interop import ROOT

SIZES: Final = (0, 64, 4096, 1 << 20)
IN_FLIGHT: Final = (1, 8, 64)
PING_PONGS: Final = ("unary", "bidi")
CALIBRATION: Final = 0.1
"""Seconds of a first run, which determines the number of calls in a round."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One load: a mode of the load generator, bytes in a message, calls at a time."""

    mode: str
    size: int
    in_flight: int = 1

    @property
    def options(self) -> list[str]:
        named = {"mode": self.mode, "size": self.size, "inflight": self.in_flight}
        return [
            text for name, value in named.items() for text in (f"-{name}", f"{value}")
        ]


@dataclass(frozen=True, slots=True)
class Sample:
    """One run. Calls or messages a second; microseconds."""

    rate: float
    p50: float | None
    p99: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The medians of one cell's rounds.

    Ratios are ours to each other side's. They are taken round by round, because other
    work of the machine then slows all sides alike.
    """

    cell: Cell
    sides: dict[str, Sample]
    rate_ratios: dict[str, float]
    p99_ratios: dict[str, float]
    """Without the sides of which no latencies are known."""


Load = Callable[[str, Cell, int], Sample]
"""Runs a number of calls of a cell on a side, by its name."""

Measure = Callable[[Sequence[Cell], Load, Sequence[str]], list[Comparison]]
"""Compares the sides, ours among them, in the cells that were asked for."""


def ping_pong_cells() -> list[Cell]:
    return [
        Cell(mode, size, in_flight)
        for mode in PING_PONGS
        for size in SIZES
        for in_flight in IN_FLIGHT
    ]


def all_cells() -> list[Cell]:
    one_way = [
        Cell(mode, size) for mode in ("upload", "download") for size in (64, 4096)
    ]
    return [*ping_pong_cells(), *one_way]


def check_cells() -> list[Cell]:
    return [Cell("check", 0, in_flight) for in_flight in IN_FLIGHT]


def compare(
    cell: Cell, load: Load, sides: Sequence[str], *, rounds: int, seconds: float
) -> Comparison:
    """Load all sides in turn, each round in the other order."""
    count = calibrate(cell, load, sides, seconds)
    samples: dict[str, list[Sample]] = {side: [] for side in sides}
    for number in range(rounds):
        for side in sides if number % 2 else reversed(sides):
            samples[side].append(load(side, cell, count))
    rates, p99s = {}, {}
    for side in sides:
        if side == OURS:
            continue
        pairs = list(zip(samples[OURS], samples[side], strict=True))
        rates[side] = statistics.median(our.rate / their.rate for our, their in pairs)
        latencies = [
            our.p99 / their.p99 for our, their in pairs if our.p99 and their.p99
        ]
        if latencies:
            p99s[side] = statistics.median(latencies)
    return Comparison(
        cell, {side: median(samples[side]) for side in sides}, rates, p99s
    )


def calibrate(cell: Cell, load: Load, sides: Sequence[str], seconds: float) -> int:
    """Return the number of calls that take the slowest side about that many seconds."""
    slowest = 0.0
    for side in sides:
        count = 2 * cell.in_flight
        while True:
            rate = load(side, cell, count).rate
            if count >= rate * CALIBRATION:
                break
            count = max(2 * count, round(rate * CALIBRATION))
        slowest = min(slowest or rate, rate)
    return max(round(slowest * seconds), 4 * cell.in_flight)


def median(samples: Sequence[Sample]) -> Sample:
    def middle(values: list[float]) -> float | None:
        return statistics.median(values) if values else None

    return Sample(
        statistics.median(sample.rate for sample in samples),
        middle([sample.p50 for sample in samples if sample.p50]),
        middle([sample.p99 for sample in samples if sample.p99]),
    )


def run(client: list[str], address: str, cell: Cell, count: int) -> Sample:
    """Run a load generator once.

    Raises:
        RuntimeError: it failed; its errors are in the message.
    """
    warm = max(count // 10, cell.in_flight)
    numbers = ["-n", str(count), "-warm", str(warm)]
    done = subprocess.run(
        [*client, "-addr", address, *cell.options, *numbers],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"load on {address}: {done.stderr.strip()}")
    result = json.loads(done.stdout)
    return Sample(result["rate"], result.get("p50_us"), result.get("p99_us"))
