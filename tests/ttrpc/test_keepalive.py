# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from ttrpc.keepalive import Keepalive, Step


def steps(*received: int, seconds: float = 3) -> list[Step]:
    """The steps of checks that come in time."""
    keepalive = Keepalive(seconds, now=0)
    interval = keepalive.interval
    return [
        keepalive.check(count, now=(number + 1) * interval)
        for number, count in enumerate(received)
    ]


def test_a_server_that_falls_silent_is_noticed_in_time() -> None:
    """Silent since just after the start: the third check is within the time."""
    assert Keepalive(3, now=0).interval * 3 == 3
    assert steps(1, 1, 1) == [Step.WAIT, Step.PROBE, Step.GIVE_UP]


def test_an_answer_to_a_probe_is_a_sign_of_life() -> None:
    assert steps(0, 9, 9, 18) == [Step.PROBE, Step.WAIT, Step.PROBE, Step.WAIT]


def test_a_server_that_sends_is_not_probed() -> None:
    assert steps(1, 2, 3) == 3 * [Step.WAIT]


def test_a_check_that_comes_late_gives_the_server_another_interval() -> None:
    """This side was stopped, so that no answer could be read."""
    keepalive = Keepalive(3, now=0)
    assert keepalive.check(0, now=1) is Step.PROBE
    assert keepalive.check(0, now=60) is Step.WAIT
    assert keepalive.check(0, now=61) is Step.GIVE_UP
