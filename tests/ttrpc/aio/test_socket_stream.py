# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import socket

from ttrpc.aio.socket_stream import SocketStream


async def test_bytes_go_both_ways() -> None:
    pair = socket.socketpair()
    for sock in pair:
        sock.setblocking(False)
    ours, theirs = map(SocketStream, pair)
    value = bytes(1 << 20)
    sending = asyncio.create_task(ours.send(value))
    received = b""
    while len(received) < len(value):
        received += await theirs.receive()
    await sending
    assert received == value
    ours.close()
    assert await theirs.receive() == b""
    theirs.close()
