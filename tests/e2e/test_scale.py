# SPDX-License-Identifier: Apache-2.0
"""Many containers side by side: a smaller run of `python -m bench.scale`."""

from __future__ import annotations

import pytest

from bench.scale import MEMORY_LIMIT_KIB, run


@pytest.mark.slow
async def test_many_containers_side_by_side() -> None:
    # It checks every output and status, and that nothing is left; what a creation
    # takes is the benchmark's, as other tests may run beside this one.
    figures = await run(containers=60, at_once=60, rounds=10)
    assert figures.memory_kib < MEMORY_LIMIT_KIB
