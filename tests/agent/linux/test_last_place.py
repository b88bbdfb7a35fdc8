# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kata_agent.linux import last_place
from kata_agent.linux.last_place import (
    CROWD,
    NICE,
    SLICE,
    put_last,
    wait_for_slice,
)


@contextmanager
def sleeping(count: int) -> Iterator[list[int]]:
    """Run threads for the block; yield their ids."""
    ended = threading.Event()
    threads = [threading.Thread(target=ended.wait) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield [thread.native_id or 0 for thread in threads]
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def values(threads: list[int]) -> set[int]:
    return {os.getpriority(os.PRIO_PROCESS, thread) for thread in threads}


@pytest.mark.root
def test_a_crowd_comes_last() -> None:
    usual = os.getpriority(os.PRIO_PROCESS, 0)
    with sleeping(CROWD) as threads:
        assert values(threads) == {usual}
        put_last(threads)
        assert values(threads) == {NICE}
        assert os.getpriority(os.PRIO_PROCESS, 0) == usual


def test_a_few_keep_their_place() -> None:
    with sleeping(3) as threads:
        before = values(threads)
        put_last(threads)
        assert values(threads) == before


@pytest.mark.root
def test_one_that_has_ended_does_not_stop_the_others() -> None:
    with sleeping(1) as ended:
        pass
    with sleeping(CROWD) as threads:
        put_last([*ended, *threads])
        assert values(threads) == {NICE}


def test_the_last_of_a_slice_of_a_crowd_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pid = os.posix_spawn("/bin/sleep", ["sleep", "1000"], {})
    pidfd = os.pidfd_open(pid)
    try:
        monkeypatch.setattr(last_place, "LONGEST_WAIT", 3_600_000)
        wait_for_slice(SLICE - 1, CROWD, pidfd)
        wait_for_slice(SLICE, CROWD - 1, pidfd)
        killer = threading.Timer(0.05, os.kill, (pid, signal.SIGKILL))
        killer.start()
        wait_for_slice(SLICE, CROWD, pidfd)
        flags = os.WEXITED | os.WNOHANG | os.WNOWAIT
        assert os.waitid(os.P_PIDFD, pidfd, flags) is not None
        killer.join()
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(pidfd)


def test_a_process_that_does_not_end_is_not_waited_for_long() -> None:
    pidfd = os.pidfd_open(os.getpid())
    wait_for_slice(SLICE, CROWD, pidfd)
    os.close(pidfd)
