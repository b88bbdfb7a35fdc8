# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import select
from collections.abc import Iterator

import pytest

from kata_host.guest.vsock.poller import Poller


@pytest.fixture
def pipes() -> Iterator[list[tuple[int, int]]]:
    pipes = [os.pipe() for _ in range(2)]
    yield pipes
    for pair in pipes:
        for fd in pair:
            os.close(fd)


def test_a_handler_is_called_with_the_events(pipes: list[tuple[int, int]]) -> None:
    poller = Poller()
    called: list[int] = []
    reader, writer = pipes[0]
    poller.watch(reader, select.EPOLLIN, called.append)
    poller.turn(0)
    assert not called
    os.write(writer, b"x")
    poller.turn(10)
    assert called == [select.EPOLLIN]


def test_nothing_is_called_after_unwatch(pipes: list[tuple[int, int]]) -> None:
    poller = Poller()
    called: list[int] = []
    reader, writer = pipes[0]
    poller.watch(reader, select.EPOLLIN, called.append)
    poller.unwatch(reader)
    os.write(writer, b"x")
    poller.turn(0)
    assert not called


def test_a_handler_that_another_one_removed_in_the_same_turn_is_not_called(
    pipes: list[tuple[int, int]],
) -> None:
    poller = Poller()
    called: list[int] = []

    def handle(own: int, other: int) -> None:
        called.append(own)
        poller.unwatch(other)

    (one, _), (two, _) = pipes
    poller.watch(one, select.EPOLLIN, lambda events: handle(one, two))
    poller.watch(two, select.EPOLLIN, lambda events: handle(two, one))
    for _, writer in pipes:
        os.write(writer, b"x")
    poller.turn(10)
    assert len(called) == 1


def test_an_event_of_a_closed_descriptor_is_not_for_its_successor(
    pipes: list[tuple[int, int]],
) -> None:
    poller = Poller()
    called: list[str] = []

    def handle(own: int, other: int) -> None:
        called.append("first")
        poller.unwatch(other)
        poller.watch(other, select.EPOLLIN, lambda events: called.append("successor"))

    (one, _), (two, _) = pipes
    poller.watch(one, select.EPOLLIN, lambda events: handle(one, two))
    poller.watch(two, select.EPOLLIN, lambda events: handle(two, one))
    for _, writer in pipes:
        os.write(writer, b"x")
    poller.turn(10)
    assert called == ["first"]
