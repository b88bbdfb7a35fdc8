# SPDX-License-Identifier: Apache-2.0
"""For tests: a client and a server that are connected in memory.

    async with connected(Server([bind(ECHO, Echo())])) as client:
        assert await client.call(ECHO.methods["Echo"], request) == request

It is the real client and the real server, with all that lies between them, over a
pair of sockets; only addresses and listeners are not there.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from typing import Final

from ttrpc.aio.client import Client
from ttrpc.aio.server import Server
from ttrpc.interceptor import Interceptor
from ttrpc.limits import Limits

PATIENCE: Final = 10.0
"""Seconds that handlers have to end when they have been cancelled."""


@contextlib.asynccontextmanager
async def connected(
    server: Server,
    *,
    interceptors: Sequence[Interceptor] = (),
    limits: Limits | None = None,
) -> AsyncIterator[Client]:
    """Give a client of `server`, with these interceptors and limits of its own.

    Leaving the block closes both, and waits until no handler runs any more.

    Raises:
        TimeoutError: on leaving, a handler does not end though it was cancelled.
    """
    ours, theirs = socket.socketpair()
    server.serve_connection(theirs)
    try:
        async with Client(ours, interceptors=interceptors, limits=limits) as client:
            yield client
    finally:
        server.close()
        async with asyncio.timeout(PATIENCE):
            await server.wait_closed()
