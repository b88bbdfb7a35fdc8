# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio
from google.protobuf.wrappers_pb2 import BytesValue

from ttrpc.aio.inbox import Inbox
from ttrpc.errors import StreamClosed
from ttrpc.frame import Payload
from ttrpc.quota import Quota
from ttrpc.share import FREE, OVERHEAD, Share

LIMIT = 1 << 20


@pytest.fixture
def share() -> Share:
    return Share(Quota(1 << 30), 1 << 30)


@pytest_asyncio.fixture
async def inbox(share: Share) -> Inbox:
    return Inbox(LIMIT, share, asyncio.get_running_loop().call_soon)


async def get(inbox: Inbox) -> Payload | None:
    """Read as the reader of a stream does."""
    while not inbox.messages:
        if inbox.has_ended():
            return None
        await inbox.more()
    return inbox.take()


async def test_messages_come_in_order_and_then_the_end(inbox: Inbox) -> None:
    assert inbox.put(b"a")
    assert inbox.put(b"")
    inbox.end()
    assert [await get(inbox) for _ in range(4)] == [b"a", b"", None, None]


async def test_an_error_comes_behind_the_messages(inbox: Inbox) -> None:
    inbox.put(b"a")
    inbox.end(StreamClosed("over"))
    inbox.end(StreamClosed("only the first counts"))
    assert await get(inbox) == b"a"
    with pytest.raises(StreamClosed, match="over"):
        await get(inbox)
    with pytest.raises(StreamClosed, match="over"):
        inbox.check()


async def test_a_failure_comes_before_the_messages(inbox: Inbox) -> None:
    inbox.put(b"a")
    inbox.fail(StreamClosed("over"))
    with pytest.raises(StreamClosed, match="over"):
        await get(inbox)


async def test_a_reader_that_waits_gets_the_next_message(inbox: Inbox) -> None:
    waiting = asyncio.ensure_future(get(inbox))
    await asyncio.sleep(0)
    inbox.put(b"a")
    inbox.put(b"b")
    assert await waiting == b"a"
    assert await get(inbox) == b"b"


async def test_a_reader_that_is_cancelled_loses_nothing(inbox: Inbox) -> None:
    waiting = asyncio.ensure_future(get(inbox))
    await asyncio.sleep(0)
    inbox.put(b"a")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert await get(inbox) == b"a"


async def test_there_is_one_reader(inbox: Inbox) -> None:
    waiting = asyncio.ensure_future(get(inbox))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="two tasks receive at once"):
        await get(inbox)
    inbox.end()
    assert await waiting is None


async def test_it_holds_so_much_and_one_message_more(inbox: Inbox) -> None:
    message = bytes(LIMIT // 4)
    assert [inbox.put(message) for _ in range(5)] == [True] * 4 + [False]


async def test_empty_messages_count(inbox: Inbox) -> None:
    count = 0
    while inbox.put(b""):
        count += 1
    assert count <= LIMIT // OVERHEAD + 1


async def test_one_message_of_any_size_fits(inbox: Inbox) -> None:
    assert inbox.put(bytes(2 * LIMIT))
    assert not inbox.put(b"")


async def test_a_large_message_takes_no_more_than_it_needs(
    inbox: Inbox, share: Share
) -> None:
    """Otherwise 64 streams of 1 MiB would not fit the 64 MiB of a connection."""
    inbox.put(bytes(LIMIT))
    assert share.size == LIMIT + OVERHEAD - FREE


async def test_messages_that_were_read_are_not_counted(
    inbox: Inbox, share: Share
) -> None:
    for _ in range(10):
        assert inbox.put(bytes(LIMIT))
        assert share.size >= LIMIT - FREE
        await get(inbox)
        waiting = asyncio.ensure_future(get(inbox))
        await asyncio.sleep(0)
        assert share.size == 0
        inbox.put(b"")
        await waiting


async def test_dropped_messages_are_not_counted(inbox: Inbox, share: Share) -> None:
    inbox.put(bytes(LIMIT))
    inbox.fail(StreamClosed("over"))
    assert share.size == 0


async def test_a_little_is_taken_when_nothing_is_left_to_share() -> None:
    share = Share(Quota(0), 0)
    share.resize(1)
    inbox = Inbox(LIMIT, share, asyncio.get_running_loop().call_soon)
    assert inbox.put(bytes(FREE - OVERHEAD))
    assert not inbox.put(b"")


async def test_one_message_with_a_page_of_data_takes_nothing_of_the_share(
    inbox: Inbox, share: Share
) -> None:
    """Else each message of a stream with buffers of 4 KiB borrows and gives back."""
    assert inbox.put(BytesValue(value=bytes(4096)).SerializeToString())
    assert share.size == 0
