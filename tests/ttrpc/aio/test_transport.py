# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest

from tests.helpers.wire import DATA, Frame
from ttrpc import Closed
from ttrpc.aio.cork import FLUSH_SIZE
from ttrpc.aio.transport import Transport
from ttrpc.frame import ReceivedFrame
from ttrpc.outbox import Outbox
from ttrpc.quota import Quota
from ttrpc.share import Share

PATIENCE = 10.0


class Receiver:
    """In place of a session: records frames, and may answer them."""

    def __init__(self, sock: socket.socket, *, unread: Share) -> None:
        self.ids: list[int] = []
        self.outbox = Outbox()
        self.answer = b""
        self.told: list[Closed] = []
        self.resumed: list[list[int]] = []
        sock.setblocking(False)
        self.transport = Transport(
            sock,
            outbox=self.outbox,
            receive_frame=self.receive_frame,
            lost=self.lost,
            unread=unread,
            holds_back=True,
        )

    def receive_frame(self, frame: ReceivedFrame) -> None:
        stream_id = frame[0]
        self.ids.append(stream_id)
        self.transport.cork.after_frames(lambda: self.resumed.append(list(self.ids)))
        if self.answer:
            self.outbox.put_message(stream_id, self.answer)

    def lost(self, reason: Closed) -> None:
        self.transport.cork.after_frames(lambda: self.told.append(reason))

    async def until(self, ids: list[int]) -> None:
        async with asyncio.timeout(PATIENCE):
            while self.ids != ids:
                await asyncio.sleep(0)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def frames(ids: list[int]) -> bytes:
    return b"".join(bytes(Frame(stream_id, DATA, 0, b"")) for stream_id in ids)


async def test_nothing_is_lost_when_others_have_used_up_the_quota(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    quota = Quota(limit=1000)
    Share(quota, 10_000).resize(2000)
    receiver = Receiver(pair[0], unread=Share(quota, 10_000))
    receiver.answer = bytes(FLUSH_SIZE + 1)
    pair[1].sendall(frames([1, 3]))
    await receiver.until([1, 3])
    receiver.transport.close("the test is over")


async def test_readers_go_on_once_for_all_the_frames_that_came(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    receiver = Receiver(pair[0], unread=Share(Quota(1000), 1000))
    pair[1].sendall(frames([1, 3, 5]))
    await receiver.until([1, 3, 5])
    assert receiver.resumed == [[1, 3, 5]] * 3
    receiver.transport.close("the test is over")


async def test_without_frames_readers_go_on_when_the_loop_comes_round(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    receiver = Receiver(pair[0], unread=Share(Quota(1000), 1000))
    seen: list[object] = []
    receiver.transport.cork.after_frames(lambda: seen.append(asyncio.current_task()))
    assert seen == []
    await asyncio.sleep(0)
    assert seen == [None]
    receiver.transport.close("the test is over")


async def test_a_failed_write_ends_the_connection(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    receiver = Receiver(pair[0], unread=Share(Quota(1000), 1000))
    receiver.answer = b"hi"
    pair[1].sendall(frames([1]))
    pair[1].close()
    async with asyncio.timeout(PATIENCE):
        while not receiver.told:
            await asyncio.sleep(0)
    assert "send failed" in str(receiver.told[0])


class Looks:
    """In place of a stream: counts how often `drain` looks whether it has ended."""

    def __init__(self) -> None:
        self.count = 0

    @property
    def is_closed(self) -> bool:
        self.count += 1
        return False


async def test_senders_do_not_all_wake_for_room_that_one_of_them_takes(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """Else a slow peer with 20,000 streams has as many tasks run at each write."""
    receiver = Receiver(pair[0], unread=Share(Quota(8 << 20), 8 << 20))
    transport, outbox = receiver.transport, receiver.outbox
    message = bytes(1 << 20)
    for _ in range(2):
        outbox.put_message(1, message)
    transport.cork.flush()
    assert transport.cork.is_blocked
    stream = Looks()
    sent: list[int] = []

    async def send(number: int) -> None:
        await transport.drain(cast(Any, stream))
        outbox.put_message(number, message)
        transport.cork.flush_soon()
        sent.append(number)

    numbers = list(range(3, 203, 2))
    loop = asyncio.get_running_loop()
    pair[1].setblocking(False)
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as senders:
        for number in numbers:
            senders.create_task(send(number))
        while len(sent) < len(numbers):
            await loop.sock_recv(pair[1], 1 << 20)
    assert sent == numbers
    # Each looks before it waits, and once or twice when it is woken.
    assert stream.count <= 3 * len(numbers)
    transport.close("the test is over")


async def test_a_sender_that_is_cancelled_leaves_its_room_to_the_next(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    receiver = Receiver(pair[0], unread=Share(Quota(1 << 20), 1 << 20))
    transport, outbox = receiver.transport, receiver.outbox
    outbox.put_message(1, bytes(1 << 20))
    transport.cork.flush()
    first, second = (asyncio.ensure_future(transport.drain()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    loop = asyncio.get_running_loop()
    pair[1].setblocking(False)
    async with asyncio.timeout(PATIENCE):
        while not second.done():
            await loop.sock_recv(pair[1], 1 << 20)
    assert first.cancelled()
    await second
    transport.close("the test is over")
