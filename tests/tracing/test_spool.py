# SPDX-License-Identifier: Apache-2.0
import pytest

from kata_tracing.batch import Batch
from kata_tracing.spool import Spool


def test_the_oldest_batch_comes_first() -> None:
    spool = Spool(100)
    assert spool.oldest is None
    first, second = Batch(b"1", 1), Batch(b"2", 2)
    assert spool.add(first) == spool.add(second) == 0
    assert spool.oldest is first
    assert spool.pop() is first
    assert spool.pop() is second
    with pytest.raises(IndexError):
        spool.pop()


def test_a_batch_without_room_costs_the_oldest_ones() -> None:
    spool = Spool(10)
    spool.add(Batch(bytes(4), 3))
    spool.add(Batch(bytes(4), 5))
    newest = Batch(bytes(8), 1)
    assert spool.add(newest) == 8
    assert spool.oldest is newest


def test_room_comes_back() -> None:
    spool = Spool(10)
    for _ in range(5):
        assert spool.add(Batch(bytes(10), 1)) == 0
        spool.pop()
    spool.add(Batch(bytes(10), 1))
    spool.clear()
    assert spool.oldest is None
    assert spool.add(Batch(bytes(10), 1)) == 0


def test_a_batch_that_is_larger_than_all_is_lost_itself() -> None:
    spool = Spool(10)
    assert spool.add(Batch(bytes(11), 7)) == 7
    assert spool.oldest is None
