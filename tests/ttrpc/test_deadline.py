# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest

from ttrpc.deadline import INT64_MAX, Deadline, checked_timeout


def test_the_remaining_time_is_sent_in_nanoseconds() -> None:
    deadline = Deadline.after(2.5, now=100)
    assert deadline.remaining(101) == 1.5
    assert deadline.timeout_nano(101) == 1_500_000_000


def test_zero_on_the_wire_is_no_deadline() -> None:
    assert Deadline.from_timeout_nano(0, now=100) is None


def test_less_than_zero_on_the_wire_has_passed() -> None:
    deadline = Deadline.from_timeout_nano(-1_000_000_000, now=100)
    assert deadline is not None
    assert deadline.remaining(100) == -1


def test_a_deadline_never_becomes_none_on_the_wire() -> None:
    """Not 0, which means no deadline, nor negative, which Rust takes for none."""
    assert Deadline(100).timeout_nano(100) == 1
    assert Deadline(100).timeout_nano(200) == 1


def test_a_deadline_in_the_far_future_fits() -> None:
    assert Deadline(1e12).timeout_nano(0) == INT64_MAX


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
