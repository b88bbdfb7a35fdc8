# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kata_agent.linux.last_place import CROWD, NICE, put_last


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
