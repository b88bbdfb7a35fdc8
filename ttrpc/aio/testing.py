# SPDX-License-Identifier: Apache-2.0
"""For tests: a client and a server over a pair of sockets in one process.

    async with connected(Server([bind(ECHO, Echo())])) as client:
        assert await client.call(ECHO.methods["Echo"], request) == request

Both are the real ones, with everything between them but addresses and listeners.
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
"""Seconds that cancelled handlers have to end."""


@contextlib.asynccontextmanager
async def connected(
    server: Server,
    *,
    interceptors: Sequence[Interceptor] = (),
    limits: Limits | None = None,
) -> AsyncIterator[Client]:
    """Give a client of `server`; the interceptors and limits are the client's.

    Leaving the block closes both and waits until no handler runs.

    Raises:
        TimeoutError: on leaving, a cancelled handler did not end.
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
