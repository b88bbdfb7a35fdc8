# SPDX-License-Identifier: Apache-2.0
"""All that a soak does, once: a smaller run of `python -m bench.soak`."""

from __future__ import annotations

import pytest

from bench.soak.__main__ import run
from bench.soak.soak import ACTIONS, WORKERS


@pytest.mark.slow
async def test_every_action_of_a_soak_leaves_nothing() -> None:
    soaks = await run(seconds=1, seed=1)
    assert soaks
    for soak in soaks:
        assert soak.faults == []
        assert len(soak.samples) > 1
        for action in ACTIONS:
            assert soak.counts[action.__name__] >= WORKERS
