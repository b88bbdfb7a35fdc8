# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import Callable

from ttrpc.aio.cork import FLUSH_SIZE, Cork
from ttrpc.outbox import Outbox

Writes = list[int]


def cork() -> tuple[Cork, Outbox, Writes]:
    """A cork, its outbox, and the sizes of the writes that it has asked for."""
    outbox = Outbox()
    writes: Writes = []

    def write() -> None:
        writes.append(outbox.size)
        outbox.chunks.clear()
        outbox.size = 0

    return Cork(outbox, write), outbox, writes


async def turns(count: int = 2) -> None:
    """Let the event loop come round."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_without_frames_a_flush_writes_at_once() -> None:
    it, outbox, writes = cork()
    outbox.put_close(1)
    it.flush()
    assert writes == [10]


async def test_frames_of_one_turn_leave_in_one_write() -> None:
    it, outbox, writes = cork()
    for stream_id in (1, 3, 5):
        outbox.put_close(stream_id)
        it.flush_soon()
    assert writes == []
    await turns()
    assert writes == [30]


async def test_a_large_outbox_does_not_wait_for_the_turn() -> None:
    it, outbox, writes = cork()
    outbox.put_message(1, bytes(FLUSH_SIZE))
    it.flush_soon()
    assert writes == [FLUSH_SIZE + 10]


async def test_while_the_socket_is_full_no_turn_is_asked_for() -> None:
    """The transport writes when there is room; a turn before is a system call."""
    it, outbox, writes = cork()
    it.is_blocked = True
    outbox.put_close(1)
    it.flush_soon()
    await turns()
    assert writes == []


async def test_while_frames_are_dealt_with_nothing_is_written() -> None:
    it, outbox, writes = cork()
    it.put_in()
    outbox.put_close(1)
    it.flush()
    it.flush_soon()
    await turns()
    assert writes == []
    it.end_batch()
    assert writes == [10]
    it.pull_out()
    await turns()
    assert writes == [10]


async def test_callbacks_go_on_before_the_write_of_their_batch() -> None:
    """Also those that a callback asks for."""
    it, outbox, writes = cork()

    def send(stream_id: int, then: Callable[[], None] | None = None) -> None:
        outbox.put_close(stream_id)
        if then is not None:
            it.after_frames(then)

    it.put_in()
    it.after_frames(lambda: send(1, then=lambda: send(3)))
    it.end_batch()
    assert writes == [20]
    it.pull_out()


async def test_without_frames_a_callback_is_called_by_the_loop() -> None:
    it, _, _ = cork()
    tasks: list[object] = []
    it.after_frames(lambda: tasks.append(asyncio.current_task()))
    assert tasks == []
    await turns(1)
    assert tasks == [None]


async def test_callbacks_after_the_last_batch_are_not_forgotten() -> None:
    """A write that fails ends the connection, which continues tasks that wait."""
    it, _, _ = cork()
    called: list[int] = []
    it.put_in()
    it.end_batch()
    it.after_frames(lambda: called.append(1))
    it.pull_out()
    assert called == []
    await turns(1)
    assert called == [1]


async def test_a_write_after_tasks_has_the_answers_of_their_first_step() -> None:
    it, outbox, writes = cork()

    async def answer(stream_id: int) -> None:
        outbox.put_close(stream_id)
        it.flush_soon()

    it.put_in()
    tasks = [asyncio.ensure_future(answer(stream_id)) for stream_id in (1, 3)]
    it.flush_after_tasks()
    it.end_batch()
    it.pull_out()
    await turns(1)
    assert writes == [20]
    await asyncio.gather(*tasks)
    await turns()
    assert writes == [20]
