# SPDX-License-Identifier: Apache-2.0
from kata_tracing.counters import Counters, DropReason


def test_spans_neither_sent_nor_dropped_are_pending() -> None:
    counters = Counters(ended=10, sent=4)
    counters.dropped[DropReason.QUEUE] += 1
    counters.dropped[DropReason.SHUTDOWN] += 2
    assert counters.pending == 3


def test_a_copy_does_not_change_any_more() -> None:
    counters = Counters(ended=2, sent=1, send_errors=3, throttled=4)
    copy = counters.copy()
    assert copy.to_log() == counters.to_log()
    counters.ended += 1
    counters.dropped[DropReason.SPOOL] += 1
    assert (copy.ended, copy.dropped[DropReason.SPOOL]) == (2, 0)


def test_the_log_names_only_the_drops_that_happened() -> None:
    counters = Counters(ended=5, sent=2)
    counters.dropped[DropReason.REFUSED] = 3
    assert counters.to_log() == {
        "spans_ended": 5,
        "spans_sent": 2,
        "spans_pending": 0,
        "send_errors": 0,
        "throttled": 0,
        "dropped_refused": 3,
    }
