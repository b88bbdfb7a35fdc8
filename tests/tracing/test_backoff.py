# SPDX-License-Identifier: Apache-2.0
import pytest

from kata_tracing.backoff import backoff


@pytest.mark.parametrize(
    ("failures", "longest"), [(0, 0.1), (1, 0.2), (3, 0.8), (10, 5.0), (10**6, 5.0)]
)
def test_the_pause_grows_to_a_bound_with_jitter(failures: int, longest: float) -> None:
    pauses = {backoff(failures, first=0.1, last=5.0) for _ in range(50)}
    assert longest / 2 <= min(pauses)
    assert max(pauses) <= longest
    assert len(pauses) > 1
