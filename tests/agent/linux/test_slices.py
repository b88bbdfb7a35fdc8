# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from kata_agent.linux import slices
from kata_agent.linux.last_place import CROWD
from kata_agent.linux.slices import SLICE, Slices


@pytest.fixture
def own_pidfd() -> Iterator[int]:
    """A descriptor of a process that does not end."""
    pidfd = os.pidfd_open(os.getpid())
    yield pidfd
    os.close(pidfd)


def test_the_last_of_a_slice_of_a_crowd_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, own_pidfd: int
) -> None:
    monkeypatch.setattr(slices, "LONGEST_WAIT", 3_600)
    monkeypatch.setattr(slices, "LONGEST_KILL", 3_600)
    pid = os.posix_spawn("/bin/sleep", ["sleep", "1000"], {})
    pidfd = os.pidfd_open(pid)
    try:
        few = Slices(CROWD - 1)
        for _ in range(2 * SLICE):
            few.add(own_pidfd)
        crowd = Slices(CROWD)
        for _ in range(SLICE - 1):
            crowd.add(own_pidfd)
        killer = threading.Timer(0.05, os.kill, (pid, signal.SIGKILL))
        killer.start()
        crowd.add(pidfd)
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        assert os.waitid(os.P_PIDFD, pidfd, flags) is not None
        killer.join()
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(pidfd)


def test_one_slice_that_does_not_end_is_not_waited_for_long(
    monkeypatch: pytest.MonkeyPatch, own_pidfd: int
) -> None:
    monkeypatch.setattr(slices, "LONGEST_KILL", 3_600)
    crowd = Slices(CROWD)
    for _ in range(CROWD):
        crowd.add(own_pidfd)


def test_many_slices_that_do_not_end_are_not_waited_for_long(
    monkeypatch: pytest.MonkeyPatch, own_pidfd: int
) -> None:
    monkeypatch.setattr(slices, "LONGEST_WAIT", 3_600)
    monkeypatch.setattr(slices, "LONGEST_KILL", 0.1)
    crowd = Slices(60_000)
    for _ in range(60_000):
        crowd.add(own_pidfd)
