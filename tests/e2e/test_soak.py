# SPDX-License-Identifier: Apache-2.0
"""All that a soak does, once, and its verdict: smaller `python -m bench.soak`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import pytest

from bench.soak.__main__ import run
from bench.soak.growth import FEWEST, least_slope
from bench.soak.sample import LEAK, WARM_UP, Sample, memory_faults, take_sample
from bench.soak.soak import ACTIONS, WORKERS
from bench.stage import Stage, open_stage
from tests.helpers import leaking_agent

ROUNDS, LIVES = 20, 3
"""Of each worker."""
QUIET = [36.2, 36.1, 32.8, 37.1, 36.5, 37.0, 36.1, 36.1, 37.5, 36.1, 36.1, 36.3, 33.4]
QUIET += [36.5, 37.2, 36.0, 36.6, 36.1, 36.7, 37.1, 37.0, 36.1, 36.1, 36.1]
CREEPING = [48.4, 48.7, 48.8, 48.6, 48.8, 49.4, 48.6, 49.7, 50.1, 49.7, 48.2, 50.1]
CREEPING += [50.4, 46.8, 50.3, 50.0, 50.1, 51.2, 50.2, 49.9, 50.2, 50.3, 52.0, 51.9]
"""MiB of agents after every 220 actions; the second had a heap for each thread."""


@pytest.mark.slow
async def test_every_action_of_a_soak_leaves_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    soaks = await run(seconds=1, seed=1)
    assert soaks
    printed = capsys.readouterr().out
    assert printed.count("too few actions to tell whether memory grows") == len(soaks)
    for soak in soaks:
        assert soak.faults == []
        assert len(soak.samples) > 1
        for action in ACTIONS:
            assert soak.counts[action.__name__] >= WORKERS


def slope_of(memory: Sequence[float], leak: int = 0) -> float:
    """Return the bytes for each action of a series in MiB that leaks so much more."""
    actions = [220 * number for number in range(len(memory))]
    return least_slope(
        [(x, y * (1 << 20) + leak * x) for x, y in zip(actions, memory, strict=True)]
    )


def test_noise_is_no_growth_and_a_creep_is() -> None:
    assert slope_of(QUIET) < LEAK < slope_of(CREEPING)
    assert slope_of(QUIET, leak=1024) > LEAK
    assert slope_of(QUIET[::-1]) < LEAK


def test_few_samples_and_samples_at_one_moment_say_nothing() -> None:
    assert slope_of(range(FEWEST - 1)) < 0
    assert slope_of(range(FEWEST)) > LEAK
    assert least_slope([(1.0, float(number)) for number in range(20)]) < 0


async def live(stage: Stage, name: str) -> None:
    container = await stage.started(name, "true")
    await container.init.wait()
    await container.remove()


async def sampled(stage: Stage) -> list[Sample]:
    """Run containers in rounds, each of which ends with a sample."""
    samples = []

    async def work(slot: int, lives: int) -> None:
        for number in range(lives):
            await live(stage, f"c{len(samples)}-{slot}-{number}")

    await asyncio.gather(*(work(slot, 10 * LIVES) for slot in range(WORKERS)))
    for number in range(ROUNDS):
        await asyncio.gather(*(work(slot, LIVES) for slot in range(WORKERS)))
        actions = WARM_UP + (number + 1) * WORKERS * LIVES
        samples.append(await asyncio.to_thread(take_sample, stage, actions))
    return samples


@pytest.mark.slow
async def test_a_leak_of_a_kibibyte_a_call_is_a_fault() -> None:
    async with open_stage(
        [sys.executable, leaking_agent.__file__],
        parameters=["agent.log=debug"],
        environment={"KATA_AGENT_LOG_LEVEL": "warn"},
    ) as stage:
        samples = await sampled(stage)
    (fault,) = [fault for fault in memory_faults(samples) if "agent" in fault]
    assert "agent_bytes grows by" in fault
