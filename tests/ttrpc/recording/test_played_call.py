# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value

from bench.ttrpc.peer_pb2 import Part, Total
from tests.helpers.peer import ECHO, ITEMS
from tests.helpers.recorded import serving
from ttrpc.aio import Client
from ttrpc.errors import StatusError
from ttrpc.recording.entry import Entry, Kind
from ttrpc.recording.played_call import PlayedCall
from ttrpc.service import Method


def played(
    client: Client,
    method: Method[Any, Any],
    request: Message,
    timeout: float | None = None,
) -> PlayedCall:
    entry = Entry(Kind.CALL, 1, 0, 0, 1, method.name, timeout=timeout)
    return PlayedCall(entry, client, method, request, api=None)


async def test_a_unary_call_is_answered_when_it_is_asked_for(tmp_path: Path) -> None:
    async with serving(tmp_path) as address:
        async with await Client.connect(address) as client:
            call = played(client, ECHO["Len"], BytesValue(value=b"abc"))
            await call.begin()
            assert await call.answer(10) == UInt64Value(value=3)


async def test_the_recorded_timeout_is_the_calls(tmp_path: Path) -> None:
    async with serving(tmp_path) as address:
        async with await Client.connect(address) as client:
            nap = UInt64Value(value=10**12)
            call = played(client, ECHO["Sleep"], nap, timeout=0.05)
            await call.begin()
            await call.settle(10)
            with pytest.raises(StatusError, match="DEADLINE_EXCEEDED"):
                await call.answer(10)


async def test_messages_go_both_ways(tmp_path: Path) -> None:
    async with serving(tmp_path) as address:
        async with await Client.connect(address) as client:
            total = played(client, ITEMS["Sum"], Part())
            await total.begin()
            await total.send(Part(add=2))
            await total.send(Part(add=3))
            await total.close_send()
            assert await total.answer(10) == Total(sum=5, num=2)
            parts = played(client, ITEMS["Divide"], Total(sum=4, num=2))
            await parts.begin()
            assert [await parts.receive(10) for _ in range(3)] == [
                Part(add=2),
                Part(add=2),
                None,
            ]


async def test_a_cancelled_call_leaves_nothing_behind(tmp_path: Path) -> None:
    async with serving(tmp_path) as address:
        async with await Client.connect(address) as client:
            nap = played(client, ECHO["Sleep"], UInt64Value(value=10**12))
            await nap.begin()
            await nap.cancel()
            stream = played(client, ITEMS["EchoStream"], Part())
            await stream.begin()
            await stream.cancel()
            assert await client.call(ECHO["Len"], BytesValue(value=b"a"))
