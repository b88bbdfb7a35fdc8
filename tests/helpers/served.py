# SPDX-License-Identifier: Apache-2.0
"""Parts of grpc.AgentService behind a real server, and a client of them."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import AsyncIterator

from kata_agent.rpc.status import to_status
from kata_protos.agent_ttrpc import AGENT_SERVICE, AgentServiceClient
from ttrpc.aio import Client, Server
from ttrpc.bound_service import bind
from ttrpc.interceptor import Interceptor


@contextlib.asynccontextmanager
async def served(
    *parts: object, interceptors: tuple[Interceptor, ...] = ()
) -> AsyncIterator[AgentServiceClient]:
    """Serve `parts` on a unix socket, and yield a client that is connected to it."""
    server = Server(
        [bind(AGENT_SERVICE, *parts)], interceptors=interceptors, status_of=to_status
    )
    with tempfile.TemporaryDirectory() as directory:
        address = f"unix://{directory}/agent.sock"
        await server.listen(address)
        async with await Client.connect(address) as client:
            yield AgentServiceClient(client)
        await server.shutdown(1)
