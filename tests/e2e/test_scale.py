# SPDX-License-Identifier: Apache-2.0
"""Many containers side by side: a smaller run of `python -m bench.scale`."""

from __future__ import annotations

import pytest

from bench.scale import MEMORY_LIMIT_KIB, run


@pytest.mark.slow
async def test_many_containers_side_by_side() -> None:
    # `run` checks every output and status, and that nothing is left. The duration of a
    # creation is not checked, because other tests may run at the same time.
    figures = await run(containers=60, at_once=60, rounds=10)
    assert figures.memory_kib < MEMORY_LIMIT_KIB
