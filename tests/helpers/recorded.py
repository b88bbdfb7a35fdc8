# SPDX-License-Identifier: Apache-2.0
"""The test peer as an API for recordings, and a session with it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import BytesValue, Int32Value, UInt64Value

from bench.ttrpc.peer_pb2 import DESCRIPTOR, Item, Part
from bench.ttrpc.service import services
from tests.helpers.peer import ECHO, ITEMS
from ttrpc import Service, StatusError
from ttrpc.address import parse_address
from ttrpc.aio import Client, Server
from ttrpc.recording.api import Api, Reads
from ttrpc.recording.tap import Tap


def redact(message: Message) -> None:
    if isinstance(message, BytesValue):
        message.value = b"x" * len(message.value)


API: Final = Api(
    "peer",
    {
        service.full_name: Service.from_descriptor(service)
        for service in DESCRIPTOR.services_by_name.values()
    },
    redact=redact,
    reads={"Len": Reads(values=("value",)), "Sum": Reads(present=("sum",))},
)


@contextlib.asynccontextmanager
async def serving(path: Path) -> AsyncIterator[str]:
    """Serve `peer.v1` at a new socket in `path`; yield its address."""
    server = Server(services())
    address = f"unix://{path}/server.sock"
    await server.listen(address)
    try:
        yield address
    finally:
        server.close()
        await server.wait_closed()


@contextlib.asynccontextmanager
async def tapped(
    path: Path,
    lines: list[Mapping[str, Any]],
    *apis: Api,
    listen: str = "",
    redacts: bool = True,
    port: int | None = None,
) -> AsyncIterator[str]:
    """Serve `peer.v1` behind a tap; yield the tap's address."""
    async with serving(path) as target:
        tap = Tap(parse_address(target), apis, lines.append, redacts=redacts, port=port)
        address = listen or f"unix://{path}/tap.sock"
        await tap.start(parse_address(address))
        try:
            yield address
        finally:
            await tap.close()


async def make_every_kind_of_call(address: str) -> None:
    """Make a call of each cardinality, and one that fails."""
    async with await Client.connect(address) as client:
        await client.call(
            ECHO["Len"], BytesValue(value=b"secret"), timeout=5, metadata={"k": "v"}
        )
        with contextlib.suppress(StatusError):
            await client.call(ECHO["Fail"], Int32Value(value=5))
        async with await client.open_stream(ITEMS["EchoStream"]) as stream:
            await stream.send(Item(seq=1))
            await stream.recv()
            await stream.close_send()
            assert await stream.recv() is None
        async with await client.open_stream(ITEMS["Sum"]) as total:
            await total.send(Part(add=3))
            await total.response()
        await client.call(ECHO["Make"], UInt64Value(value=3))


def as_text(lines: list[Mapping[str, Any]]) -> list[str]:
    return [json.dumps(line) for line in lines]
