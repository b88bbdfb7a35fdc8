# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest

from ttrpc.deadline import (
    INT64_MAX,
    Deadline,
    checked_deadline,
    checked_period,
    checked_timeout,
)


class Clock:
    """A clock that stands at `now`."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def test_the_remaining_time_is_sent_in_nanoseconds() -> None:
    clock = Clock(100)
    deadline = Deadline.after(2.5, clock=clock)
    clock.now = 101
    assert deadline.remaining() == 1.5
    assert deadline.timeout_nano() == 1_500_000_000


def test_zero_on_the_wire_is_no_deadline() -> None:
    assert Deadline.from_timeout_nano(0, clock=Clock(100)) is None


def test_less_than_zero_on_the_wire_has_passed() -> None:
    deadline = Deadline.from_timeout_nano(-1_000_000_000, clock=Clock(100))
    assert deadline is not None
    assert deadline.remaining() == -1


@pytest.mark.parametrize("now", [100, 200])
def test_a_deadline_never_becomes_none_on_the_wire(now: float) -> None:
    """Not 0, which means no deadline, nor negative, which Rust takes for none."""
    assert Deadline(100, Clock(now)).timeout_nano() == 1


def test_a_deadline_in_the_far_future_fits() -> None:
    assert Deadline(1e12, Clock(0)).timeout_nano() == INT64_MAX


def test_deadlines_compare_by_their_time() -> None:
    assert Deadline(1, Clock(0)) == Deadline(1, Clock(5)) < Deadline(2, Clock(0))


def test_a_deadline_that_never_comes_is_none() -> None:
    assert checked_deadline(Deadline(math.inf, Clock(0))) is None
    deadline = Deadline(1, Clock(0))
    assert checked_deadline(deadline) is deadline


def test_a_deadline_that_is_none_of_ours_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^deadline: float is not a ttrpc.Deadline$"):
        checked_deadline(5.0)  # type: ignore[arg-type]  # a mistake
    with pytest.raises(ValueError, match="^deadline: not a number$"):
        checked_deadline(Deadline(math.nan, Clock(0)))


@pytest.mark.parametrize("timeout", [None, math.inf])
def test_no_timeout_and_an_endless_one_are_the_same(timeout: float | None) -> None:
    assert checked_timeout("timeout", timeout) is None


@pytest.mark.parametrize("timeout", [0, 0.5, 1e300])
def test_a_timeout_stays_as_it_is(timeout: float) -> None:
    assert checked_timeout("timeout", timeout) == timeout


@pytest.mark.parametrize("timeout", [math.nan, -1.0, -math.inf])
def test_a_timeout_that_is_no_time_is_refused(timeout: float) -> None:
    with pytest.raises(ValueError, match=f"^wait {timeout}: neither 0 nor"):
        checked_timeout("wait", timeout)


def test_a_period_is_a_positive_number() -> None:
    assert checked_period("idle", 0.5) == 0.5
    assert checked_period("idle", math.inf) is None
    with pytest.raises(ValueError, match="^idle 0: not a positive number$"):
        checked_period("idle", 0)
    with pytest.raises(ValueError, match="^idle -1: "):
        checked_period("idle", -1)
