# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

from ttrpc.aio.byte_sender import ByteSender


class Sink:
    """Notes what is sent, and lets it go one call at a time."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.turns = asyncio.Semaphore(0)
        self.after = 0
        self.finished = asyncio.Event()
        self.error: Exception | None = None
        self.sender = ByteSender(self.send, sent=self.count, finished=self.finished.set)

    async def send(self, data: bytes) -> None:
        await self.turns.acquire()
        if self.error is not None:
            raise self.error
        self.sent.append(data)

    def count(self) -> None:
        self.after += 1

    async def until_after(self, count: int) -> None:
        async with asyncio.timeout(10):
            while self.after < count:
                await asyncio.sleep(0)


async def test_what_waits_is_sent_together() -> None:
    sink = Sink()
    for data in (b"a", b"bc"):
        sink.sender.put(data)
    await asyncio.sleep(0)
    sink.sender.put(b"d")
    assert sink.sender.size == 4
    for count in (1, 2):
        sink.turns.release()
        await sink.until_after(count)
    assert sink.sent == [b"abc", b"d"]
    assert sink.sender.size == 0
    sink.sender.put(b"e")
    sink.turns.release()
    await sink.until_after(3)
    assert sink.sent[2:] == [b"e"]


async def test_the_rest_is_sent_before_the_end() -> None:
    sink = Sink()
    sink.sender.put(b"a")
    await asyncio.sleep(0)
    sink.sender.put(b"b")
    sink.sender.close()
    assert not sink.finished.is_set()
    for _ in range(2):
        sink.turns.release()
    async with asyncio.timeout(10):
        await sink.finished.wait()
    assert sink.sent == [b"a", b"b"]


async def test_without_a_rest_the_end_is_at_once() -> None:
    sink = Sink()
    sink.sender.close()
    assert sink.finished.is_set()


async def test_after_an_error_nothing_is_sent() -> None:
    sink = Sink()
    sink.error = OSError("no")
    sink.sender.put(b"a")
    sink.turns.release()
    await sink.until_after(1)
    assert sink.sender.error is sink.error
    sink.sender.put(b"b")
    sink.sender.close()
    assert sink.finished.is_set()
    assert not sink.sent


async def test_after_a_cancelled_call_nothing_is_sent() -> None:
    """Nobody knows which bytes have gone."""
    sink = Sink()
    sink.sender.put(b"a")
    await asyncio.sleep(0)
    (task,) = asyncio.all_tasks() - {asyncio.current_task()}
    task.cancel()
    await sink.until_after(1)
    assert isinstance(sink.sender.error, ConnectionAbortedError)
    sink.turns.release()
    sink.sender.put(b"b")
    sink.sender.close()
    assert sink.finished.is_set()
    assert not sink.sent


async def test_bytes_of_a_task_that_never_ran_are_sent() -> None:
    sink = Sink()
    sink.sender.put(b"a")
    (task,) = asyncio.all_tasks() - {asyncio.current_task()}
    task.cancel()
    sink.turns.release()
    await sink.until_after(1)
    assert sink.sent == [b"a"]
