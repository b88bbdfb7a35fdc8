# SPDX-License-Identifier: Apache-2.0
"""An event that a thread waits for together with other files."""

from __future__ import annotations

import select
import threading

from kata_agent.log.stop_event import StopEvent


def test_the_descriptor_is_readable_once_the_event_is_set() -> None:
    stop = StopEvent()
    poll = select.poll()
    poll.register(stop, select.POLLIN)
    assert (stop.is_set(), poll.poll(0)) == (False, [])
    stop.set()
    assert (stop.is_set(), poll.poll(0)) == (True, [(stop.fileno(), select.POLLIN)])
    # It stays set: several waits see it.
    assert poll.poll(0)


def test_setting_the_event_wakes_a_thread_that_waits() -> None:
    stop = StopEvent()
    thread = threading.Thread(target=stop.wait, args=(1000,))
    thread.start()
    stop.set()
    thread.join(20)
    assert not thread.is_alive()


def test_a_wait_ends_with_its_timeout() -> None:
    stop = StopEvent()
    stop.wait(0.001)
    assert not stop.is_set()
