# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from ttrpc.backoff import Backoff, attempt_timeout, dial_backoff


def test_pauses_double_up_to_the_last_and_start_again() -> None:
    backoff = Backoff(1, 5)
    pauses = []
    for _ in range(5):
        pauses.append(backoff.pause)
        backoff.failed()
    assert pauses == [1, 2, 4, 5, 5]
    backoff.succeeded()
    assert backoff.pause == 1


def test_dialing_never_waits_long() -> None:
    """A guest that has booted is reached within 200 ms."""
    backoff = dial_backoff()
    for _ in range(100):
        backoff.failed()
    assert backoff.pause == 0.2


def test_an_attempt_leaves_time_for_the_next() -> None:
    assert attempt_timeout(60, 30) == 10
    assert attempt_timeout(60, 3) == 3
    assert attempt_timeout(None, 0) == 10
