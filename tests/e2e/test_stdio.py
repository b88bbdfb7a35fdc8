# SPDX-License-Identifier: Apache-2.0
"""Streams pass every byte: a smaller run of `python -m bench.stdio`."""

from __future__ import annotations

import pytest

from bench.stage import open_stage, quiet_footprint
from bench.stdio import MIB, check_hashes, execute_many, make_data


@pytest.mark.slow
async def test_short_execs_and_much_data_arrive_whole() -> None:
    async with open_stage() as stage:
        await execute_many(stage, 20)
        before = await quiet_footprint(stage.guest)
        await execute_many(stage, 500)
        await check_hashes(stage, make_data(stage, 64 * MIB))
        assert await quiet_footprint(stage.guest) == before
