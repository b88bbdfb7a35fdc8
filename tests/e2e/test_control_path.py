# SPDX-License-Identifier: Apache-2.0
"""The control path under load: smaller `python -m bench.control` and `bench.crowd`."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from bench import control, crowd
from bench.control import burden, measure, percentile
from bench.scale import check_nothing_is_left
from bench.stage import open_stage, quiet_footprint
from bench.turns import KEPT, RecordingSelector, Turn, read_turns
from kata_host.guest.local_cgroup import hierarchies

LIMIT_MS = 100.0
"""Ten times the benchmark's limit, because other tests may run at the same time."""


@pytest.mark.slow
async def test_check_and_signals_answer_while_other_calls_hang() -> None:
    if not Path("/dev/fuse").exists() and not os.environ.get("CI"):
        pytest.skip("needs /dev/fuse")
    async with open_stage() as stage:
        await (await stage.started("warm-up", "true")).remove()
        before = await quiet_footprint(stage.guest)
        async with burden(stage):
            found = await measure(stage, calls=500)
        for name, durations in found.items():
            assert percentile(durations, 99) < LIMIT_MS, name
        await check_nothing_is_left(stage, before)


PROCESSES = 2000
"""A quarter of the benchmark's."""


@pytest.mark.slow
@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_a_container_of_thousands_of_processes_does_not_hold_the_loop(
    version: str,
) -> None:
    """Its turns are measured in CPU time, which other programs do not lengthen."""
    try:
        hierarchies(version)
    except ValueError as error:
        pytest.skip(str(error))
    steps = await crowd.measure(version, PROCESSES)
    turns = {step.name: step.turn.cpu * 1e3 for step in steps}
    assert max(turns.values()) < crowd.TURN_LIMIT_MS, turns


def test_a_long_turn_is_recorded(tmp_path: Path) -> None:
    record = tmp_path / "turns"
    loop = asyncio.SelectorEventLoop(RecordingSelector(record))

    async def work() -> None:
        began = time.thread_time()
        while time.thread_time() < began + 2 * KEPT:
            pass

    loop.run_until_complete(work())
    loop.close()
    assert max(turn.cpu for turn in read_turns(record)) >= 2 * KEPT


def test_a_loop_without_a_record_is_no_quiet_loop(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_turns(tmp_path / "turns")


def step(checks: list[float], turn: float) -> crowd.Step:
    """Return a step with these durations in milliseconds."""
    seconds = [check / 1e3 for check in checks]
    return crowd.Step("PauseContainer", 1.0, seconds, Turn(1.0, turn / 1e3, 0.0))


@pytest.mark.parametrize(
    ("steps", "broken"),
    [
        ([step([1.0] * 100, 19.9)], []),
        ([step([1.0] * 99 + [500.0], 0.0), step([1.0] * 100, 0.0)], []),
        (
            [step([1.0] * 95 + [11.0] * 5, 0.0)],
            ["v1: `Check` takes 11.0 ms at p99, over 10 ms"],
        ),
        (
            [step([1.0] * 100, 0.0), step([1.0] * 100, 20.1)],
            ["v1: PauseContainer has a turn of 20.1 ms, over 20 ms"],
        ),
    ],
)
def test_a_bound_that_is_broken_ends_the_benchmark_with_1(
    steps: list[crowd.Step],
    broken: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def measure(version: str) -> list[crowd.Step]:
        return steps

    monkeypatch.setattr(crowd, "measure", measure)
    monkeypatch.setattr(crowd, "hierarchies", only_v1)
    monkeypatch.setattr(sys, "argv", ["bench.crowd"])
    assert crowd.main() == len(broken)
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if not line.startswith("|")] == broken


def only_v1(version: str) -> None:
    if version != "v1":
        raise ValueError(version)


def test_nothing_measured_is_a_fault() -> None:
    assert crowd.faults({})


def test_a_slow_method_ends_the_benchmark_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fast, slow = [0.001] * 100, [0.001] * 95 + [0.011] * 5

    async def compare() -> dict[str, dict[str, list[float]]]:
        return {
            "idle": {"Check": slow, "SignalProcess": fast},
            "with all of it": {"Check": fast, "SignalProcess": slow},
        }

    monkeypatch.setattr(control, "compare", compare)
    monkeypatch.setattr(sys, "argv", ["bench.control"])
    assert control.main() == 1
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1] == "`SignalProcess` takes 11.0 ms at p99, over 10 ms"
