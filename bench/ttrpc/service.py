# SPDX-License-Identifier: Apache-2.0
"""Serves `peer.v1` with our library, as `tests/interop/peer` does with Go's."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import (
    BytesValue,
    Int32Value,
    Int64Value,
    StringValue,
    UInt64Value,
)

from bench.ttrpc.peer_pb2 import DESCRIPTOR, Item, Part, Total
from ttrpc import BoundService, CallContext, Code, StatusError, bind
from ttrpc.aio import ServerStream

NANO = 1_000_000_000

BytesStream = ServerStream[BytesValue, BytesValue]


class Echo:
    """`peer.v1.Echo`. Handlers that need not wait are plain functions."""

    def __init__(self) -> None:
        self._active = 0
        self._cancelled = 0

    def echo(self, request: BytesValue, context: CallContext) -> BytesValue:
        return request

    def len(self, request: BytesValue, context: CallContext) -> UInt64Value:
        return UInt64Value(value=len(request.value))

    def make(self, request: UInt64Value, context: CallContext) -> BytesValue:
        return BytesValue(value=bytes(request.value))

    async def make_later(
        self, request: UInt64Value, context: CallContext
    ) -> BytesValue:
        # Long enough to receive some hundred calls before the first is answered.
        await asyncio.sleep(0.1)
        return BytesValue(value=bytes(request.value))

    async def sleep(self, request: UInt64Value, context: CallContext) -> UInt64Value:
        with self._counted():
            await asyncio.sleep(request.value / NANO)
        return request

    async def stubborn(self, request: UInt64Value, context: CallContext) -> UInt64Value:
        asleep = asyncio.ensure_future(asyncio.sleep(request.value / NANO))
        while not asleep.done():
            try:
                await asyncio.shield(asleep)
            except asyncio.CancelledError:
                continue
        return request

    def deadline(self, request: Empty, context: CallContext) -> Int64Value:
        left = context.remaining()
        return Int64Value(value=-1 if left is None else round(left * NANO))

    def metadata(self, request: StringValue, context: CallContext) -> StringValue:
        return StringValue(value=",".join(context.metadata.get_all(request.value)))

    def fail(self, request: Int32Value, context: CallContext) -> BytesValue:
        raise StatusError(request.value, f"failed with {request.value}")

    def fail_details(self, request: Int32Value, context: CallContext) -> BytesValue:
        detail = AnyMessage()
        detail.Pack(StringValue(value="detail"))
        message = f"failed with {request.value}"
        raise StatusError(request.value, message, [detail])

    def plain(self, request: Empty, context: CallContext) -> BytesValue:
        raise RuntimeError("went wrong")

    def nil(self, request: Empty, context: CallContext) -> BytesValue | None:
        return None

    def both(self, request: Empty, context: CallContext) -> BytesValue:
        # Python has no way to return and raise: the error is all that Go sends too.
        raise StatusError(Code.DATA_LOSS, "lost")

    def active(self, request: Empty, context: CallContext) -> Int64Value:
        return Int64Value(value=self._active)

    def cancelled(self, request: Empty, context: CallContext) -> Int64Value:
        return Int64Value(value=self._cancelled)

    async def echo_stream(self, stream: BytesStream, context: CallContext) -> None:
        with self._counted():
            async for message in stream:
                await stream.send(message)

    async def upload(
        self, stream: ServerStream[BytesValue, UInt64Value], context: CallContext
    ) -> UInt64Value:
        count = size = 0
        with self._counted():
            async for message in stream:
                count += 1
                size += len(message.value)
        return UInt64Value(value=count << 32 | size & 0xFFFFFFFF)

    async def download(
        self, stream: ServerStream[UInt64Value, BytesValue], context: CallContext
    ) -> None:
        request = await stream.recv()
        assert request is not None
        message = BytesValue(value=bytes(request.value & 0xFFFFFFFF))
        with self._counted():
            for _ in range(request.value >> 32):
                await stream.send(message)

    async def fail_stream(
        self, stream: ServerStream[UInt64Value, StringValue], context: CallContext
    ) -> None:
        request = await stream.recv()
        assert request is not None
        for number in range(request.value):
            await stream.send(StringValue(value=str(number)))
        raise StatusError(Code.ABORTED, "enough")

    async def ignore(self, stream: BytesStream, context: CallContext) -> None:
        with self._counted():
            await asyncio.Event().wait()

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._active += 1
        try:
            yield
        except asyncio.CancelledError:
            self._cancelled += 1
            raise
        finally:
            self._active -= 1


class Streaming:
    """`peer.v1.Streaming`."""

    def echo(self, request: Item, context: CallContext) -> Item:
        request.seq += 1
        return request

    async def echo_stream(
        self, stream: ServerStream[Item, Item], context: CallContext
    ) -> None:
        async for item in stream:
            item.seq += 1
            await stream.send(item)

    async def sum(
        self, stream: ServerStream[Part, Total], context: CallContext
    ) -> Total:
        total = Total()
        async for part in stream:
            total.sum += part.add
            total.num += 1
        return total

    async def divide(
        self, stream: ServerStream[Total, Part], context: CallContext
    ) -> None:
        total = await stream.recv()
        assert total is not None
        left = total.sum
        for count in range(total.num, 0, -1):
            part = left // count
            left -= part
            await stream.send(Part(add=part))

    async def echo_null(
        self, stream: ServerStream[Item, Empty], context: CallContext
    ) -> Empty:
        seq = 0
        async for item in stream:
            in_order(item, seq)
            seq += 1
        return Empty()

    async def echo_null_stream(
        self, stream: ServerStream[Item, Empty], context: CallContext
    ) -> None:
        seq = 0
        async for item in stream:
            in_order(item, seq)
            seq += 1
            async with asyncio.TaskGroup() as senders:
                for _ in range(10):
                    senders.create_task(stream.send(Empty()))

    async def empty_payload(
        self, stream: ServerStream[Empty, Item], context: CallContext
    ) -> None:
        for seq in (1, 2):
            await stream.send(Item(seq=seq))


def in_order(item: Item, seq: int) -> None:
    if item.seq != seq:
        message = f"item {seq} came as {item.seq}"
        raise StatusError(Code.FAILED_PRECONDITION, message)


def services() -> list[BoundService]:
    """Both services, with fresh counters."""
    by_name = DESCRIPTOR.services_by_name
    return [bind(by_name["Echo"], Echo()), bind(by_name["Streaming"], Streaming())]
