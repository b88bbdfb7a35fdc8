# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

import pytest
from google.protobuf.message import DecodeError
from google.protobuf.wrappers_pb2 import BytesValue

from ttrpc.aio.inbox import Inbox
from ttrpc.aio.reader import Reader
from ttrpc.errors import Closed, RemoteProtocolError
from ttrpc.quota import Quota
from ttrpc.share import Share

HI = BytesValue(value=b"hi")


class Plain(Reader[BytesValue]):
    """A reader with an error of its own for payloads that are no messages."""

    def _unreadable(self, exc: DecodeError) -> Exception:
        return RemoteProtocolError(f"unreadable: {exc}")


def reader() -> tuple[Plain, Inbox]:
    share = Share(Quota(1 << 20), 1 << 20)
    inbox = Inbox(1 << 20, share, asyncio.get_running_loop().call_soon)
    return Plain(inbox, BytesValue), inbox


async def test_messages_are_parsed_in_order_up_to_the_end() -> None:
    it, inbox = reader()
    inbox.put(HI.SerializeToString())
    inbox.put(b"")
    inbox.end()
    assert [message async for message in it] == [HI, BytesValue()]
    assert await it.recv() is None


async def test_recv_waits_for_a_message() -> None:
    it, inbox = reader()
    received = asyncio.ensure_future(it.recv())
    await asyncio.sleep(0)
    assert not received.done()
    inbox.put(memoryview(HI.SerializeToString()))
    assert await received == HI


async def test_an_error_comes_after_the_messages() -> None:
    it, inbox = reader()
    inbox.put(b"")
    inbox.end(Closed("connection: gone"))
    assert await it.recv() == BytesValue()
    for _ in range(2):
        with pytest.raises(Closed, match="^connection: gone$"):
            await it.recv()


async def test_an_invalid_message_raises_the_error_of_its_reader() -> None:
    it, inbox = reader()
    inbox.put(b"\xff")
    inbox.put(b"")
    with pytest.raises(RemoteProtocolError, match="^unreadable: "):
        await it.recv()
    assert await it.recv() == BytesValue(), "the next one can be read"
