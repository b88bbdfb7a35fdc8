# SPDX-License-Identifier: Apache-2.0
"""The bytes between a client of this host and a program, until both ways have ended."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Final

from kata_host.uncancelled import uncancelled

CHUNK: Final = 1 << 18
"""Bytes that are read at once, at most."""
_RESET: Final = struct.pack("ii", 1, 0)
"""struct linger: no time, which makes a close a reset (man 7 socket)."""


async def relay(client: socket.socket, program: socket.socket) -> None:
    """Move the bytes of two nonblocking sockets, and close both.

    The end of one way is passed on, and the other way goes on. A connection that breaks
    breaks the other one.
    """
    ways = [
        asyncio.ensure_future(_move(client, program)),
        asyncio.ensure_future(_move(program, client)),
    ]
    try:
        await asyncio.gather(*ways)
    except BaseException as error:
        reset(client)
        if not isinstance(error, OSError):
            raise
    finally:
        for way in ways:
            way.cancel()
        try:
            await uncancelled(asyncio.gather(*ways, return_exceptions=True))
        finally:
            client.close()
            program.close()


def reset(client: socket.socket) -> None:
    """Have the client see that the bytes that it has are not all; close."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    client.close()


async def _move(source: socket.socket, sink: socket.socket) -> None:
    """Move all bytes, and the end. Raises `OSError` if `source` breaks."""
    loop = asyncio.get_running_loop()
    buffer = memoryview(bytearray(CHUNK))
    while length := await loop.sock_recv_into(source, buffer):
        try:
            await loop.sock_sendall(sink, buffer[:length])
        except OSError:
            # It takes no more bytes, and may still send some.
            with contextlib.suppress(OSError):
                source.shutdown(socket.SHUT_RD)
            return
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
