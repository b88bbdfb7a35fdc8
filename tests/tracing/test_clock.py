# SPDX-License-Identifier: Apache-2.0
import time

import pytest

from kata_tracing import clock


def test_a_time_is_of_the_wall_clock() -> None:
    offset = clock.wall_offset()
    before, now, after = time.time_ns(), clock.now(offset), time.time_ns()
    # The two clocks are read one after the other.
    assert before - 10**7 < now < after + 10**7


def test_a_step_of_the_wall_clock_moves_only_offsets_taken_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    offset, hour = clock.wall_offset(), 3600 * 10**9
    before, wall_clock = clock.now(offset), time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: wall_clock() - hour)
    assert before <= clock.now(offset) < before + hour // 2
    assert clock.now(clock.wall_offset()) < before - hour // 2
