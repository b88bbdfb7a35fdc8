# SPDX-License-Identifier: Apache-2.0
"""The control path while other calls hang: a smaller `python -m bench.control`."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from bench.control import burden, measure, percentile
from bench.scale import check_nothing_is_left
from bench.stage import footprint, open_stage

LASTING_THREADS = 1
"""Threads beside the main one: one writes the log."""
LIMIT_MS = 100.0
"""Ten times the benchmark's limit, because other tests may run at the same time."""


@pytest.mark.slow
async def test_check_and_signals_answer_while_other_calls_hang() -> None:
    if not Path("/dev/fuse").exists() and not os.environ.get("CI"):
        pytest.skip("needs /dev/fuse")
    async with open_stage() as stage:
        await (await stage.started("warm-up", "true")).remove()
        # The thread of a call ends a moment after the call's answer.
        while (before := footprint(stage.guest)).threads > 1 + LASTING_THREADS:
            await asyncio.sleep(0.01)
        async with burden(stage):
            found = await measure(stage, calls=500)
        for name, durations in found.items():
            assert percentile(durations, 99) < LIMIT_MS, name
        await check_nothing_is_left(stage, before)
