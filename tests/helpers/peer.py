# SPDX-License-Identifier: Apache-2.0
"""The methods of `peer.v1`, and how our client calls the usual ones."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from google.protobuf.empty_pb2 import Empty
from google.protobuf.wrappers_pb2 import BytesValue, UInt64Value

from bench.ttrpc.peer_pb2 import DESCRIPTOR
from ttrpc import Service
from ttrpc.aio import Client

ECHO: Final = Service.from_descriptor(DESCRIPTOR.services_by_name["Echo"]).methods
ITEMS: Final = Service.from_descriptor(DESCRIPTOR.services_by_name["Streaming"]).methods
SECOND: Final = 1_000_000_000
LIMIT: Final = 4 << 20


async def echo(client: Client, value: bytes) -> bytes:
    answer: BytesValue = await client.call(ECHO["Echo"], BytesValue(value=value))
    return answer.value


async def nap(client: Client, seconds: float, **options: Any) -> None:
    await client.call(
        ECHO["Sleep"], UInt64Value(value=int(seconds * SECOND)), **options
    )


async def wait_for(client: Client, counter: str, wanted: int) -> None:
    """Ask until a counter of the peer, `Active` or `Cancelled`, has the value."""
    async with asyncio.timeout(10):
        while (await client.call(ECHO[counter], Empty())).value != wanted:
            pass
