# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import logging

import pytest

from kata_host.log_limit import INTERVAL, KINDS, LogLimit

log = logging.getLogger(__name__)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_first_of_a_kind_is_logged_and_then_a_count(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    limit = LogLimit(log, clock=clock)
    for _ in range(1000):
        limit.warning("%s: refused", "a", cause="a")
    limit.warning("%s: refused", "b", cause="b")
    limit.warning("%s: bad", "a", cause="a")
    assert caplog.messages == ["a: refused", "b: refused", "a: bad"]
    caplog.clear()
    clock.now = INTERVAL
    for _ in range(2):
        limit.warning("%s: refused", "a", cause="a")
        limit.warning("%s: refused", "b", cause="b")
    assert caplog.messages == [
        "a: refused (999 more since the last)",
        "b: refused",
    ]


def test_kinds_without_end_share_a_line(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    limit = LogLimit(log, clock=clock)
    for number in range(10 * KINDS):
        limit.warning("refused", cause=str(number))
    assert len(caplog.messages) == KINDS + 1
    caplog.clear()
    clock.now = INTERVAL
    limit.warning("refused", cause="new")
    assert caplog.messages == ["refused"]
