# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from kata_host.guest.hybrid_flow import Flow

CHUNK = memoryview(bytearray(65536))


class Ends:
    """The two sockets outside of a flow; `source` sends and `sink` receives."""

    def __init__(self) -> None:
        self.source, self.inner_source = socket.socketpair()
        self.sink, self.inner_sink = socket.socketpair()
        for inner in (self.inner_source, self.inner_sink):
            inner.setblocking(False)
        self.sink.settimeout(10)

    def close(self) -> None:
        for each in (self.source, self.inner_source, self.sink, self.inner_sink):
            each.close()


@pytest.fixture
def ends() -> Iterator[Ends]:
    ends = Ends()
    yield ends
    ends.close()


def test_bytes_move_until_the_source_has_no_more(ends: Ends) -> None:
    flow = Flow(ends.inner_source, ends.inner_sink)
    ends.source.sendall(b"hello")
    assert flow.move(CHUNK) is False
    assert ends.sink.recv(100) == b"hello"
    assert not flow.done


def test_the_first_bytes_come_before_those_of_the_source(ends: Ends) -> None:
    flow = Flow(ends.inner_source, ends.inner_sink, b"OK 1\n")
    ends.source.sendall(b"hello")
    flow.move(CHUNK)
    assert ends.sink.recv(100) == b"OK 1\nhello"


def test_the_end_of_the_source_reaches_the_sink(ends: Ends) -> None:
    flow = Flow(ends.inner_source, ends.inner_sink)
    ends.source.sendall(b"last")
    ends.source.close()
    flow.move(CHUNK)
    assert flow.done
    assert ends.sink.recv(100) == b"last"
    assert ends.sink.recv(100) == b""


def test_a_source_that_closed_with_unread_bytes_is_at_its_end(ends: Ends) -> None:
    flow = Flow(ends.inner_source, ends.inner_sink)
    ends.inner_source.send(b"never read")
    ends.source.close()
    flow.move(CHUNK)
    assert ends.sink.recv(100) == b""


def test_bytes_that_the_sink_does_not_take_are_kept(ends: Ends) -> None:
    flow = Flow(ends.inner_source, ends.inner_sink)
    ends.source.setblocking(False)
    data = b"".join(b"%07d\n" % number for number in range(1 << 17))
    sent = received = 0
    seen = b""
    while received < len(data):
        try:
            sent += ends.source.send(data[sent : sent + 65536]) if data[sent:] else 0
        except BlockingIOError:
            pass
        # Overwritten by another connection in between.
        CHUNK[:] = bytes(len(CHUNK))
        flow.move(CHUNK)
        part = ends.sink.recv(10000)
        seen += part
        received += len(part)
    assert seen == data


def test_a_sink_that_is_gone_stops_the_source(ends: Ends) -> None:
    flow = Flow(ends.inner_source, ends.inner_sink)
    ends.sink.close()
    ends.source.sendall(b"lost")
    flow.move(CHUNK)
    assert flow.done
    with pytest.raises(BrokenPipeError):
        ends.source.sendall(b"more")


def test_a_busy_flow_leaves_the_others_their_turn(ends: Ends) -> None:
    flow = Flow(ends.inner_source, ends.inner_sink)
    ends.source.sendall(bytes(1000))
    assert flow.move(memoryview(bytearray(1))) is True
    assert not flow.done
