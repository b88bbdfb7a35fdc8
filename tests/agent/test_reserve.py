# SPDX-License-Identifier: Apache-2.0
"""The reserve for undoing, under real limits of this process."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
from collections.abc import AsyncIterator, Iterator

import pytest

from kata_agent.blocking import blocking
from kata_agent.errors import Internal, ResourceExhausted
from kata_agent.reserve import DESCRIPTORS, Reserve


@pytest.fixture
async def reserve() -> AsyncIterator[Reserve]:
    reserve = Reserve()
    yield reserve
    reserve.release()


@contextlib.contextmanager
def no_free_descriptor() -> Iterator[None]:
    """Lower the limit to the descriptors that are open."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    filling = [os.dup(0)]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (filling[0] + 1, limits[1]))
        with contextlib.suppress(OSError):
            while True:
                filling.append(os.dup(0))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for fd in filling:
            os.close(fd)


def open_many(count: int) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.callback(os.close, os.dup(0))


async def test_an_undo_has_descriptors_when_no_other_call_has(reserve: Reserve) -> None:
    reserve.fill()
    with no_free_descriptor():
        with pytest.raises(OSError, match="Too many open files"):
            await blocking(open_many, 1)
        await reserve.undo(lambda: blocking(open_many, DESCRIPTORS - 2))
        reserve.fill()
        await reserve.undo(lambda: blocking(open_many, DESCRIPTORS - 2))


async def test_without_a_full_reserve_nothing_is_made(reserve: Reserve) -> None:
    with no_free_descriptor(), pytest.raises(OSError, match="Too many open files"):
        reserve.fill()
    reserve.fill()


async def test_while_an_undo_needs_the_reserve_nothing_is_made(
    reserve: Reserve,
) -> None:
    reserve.fill()
    steps = []

    async def step() -> None:
        steps.append("try")
        if len(steps) == 1:
            raise OSError(errno.ENFILE, "full")
        with pytest.raises(ResourceExhausted, match="all of its reserve"):
            reserve.fill()

    await reserve.undo(step)
    assert len(steps) == 2
    reserve.fill()


async def test_an_undo_that_fails_for_another_reason_is_not_tried_again(
    reserve: Reserve,
) -> None:
    steps = []

    async def step() -> None:
        steps.append("try")
        raise Internal("busy")

    with pytest.raises(Internal, match="busy"):
        await reserve.undo(step)
    assert len(steps) == 1


async def test_an_undo_that_never_gets_what_it_needs_fails_in_the_end(
    reserve: Reserve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kata_agent.reserve.RETRIES", (0.0, 0.001))
    steps = []

    async def step() -> None:
        steps.append("try")
        raise OSError(errno.EMFILE, "full")

    with pytest.raises(OSError, match="full"):
        await reserve.undo(step)
    assert len(steps) == 3
