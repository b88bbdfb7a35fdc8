# SPDX-License-Identifier: Apache-2.0
"""Pass every call on to another server, and print its method and outcome.

    python ttrpc_proxy.py unix:///tmp/front.sock unix:///run/back.sock

Knows no .proto file: the fallback handler of a server gets the calls of all services,
with their messages as bytes.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from ttrpc import CallContext, Cardinality, Raw, StatusError
from ttrpc.aio import Client, ClientStream, Server, ServerStream

Incoming = ServerStream[Raw, Raw]
Onward = ClientStream[Raw, Raw]


class Proxy:
    """Calls the method that its caller has called."""

    def __init__(self, back: Client) -> None:
        self._back = back

    async def pass_on(self, request: Any, context: CallContext) -> Raw | None:
        """Serve as the fallback handler; streams return None, or their one response."""
        is_unary = context.method.cardinality is Cardinality.UNARY_UNARY
        outcome = "OK"
        try:
            if is_unary:
                return await self._call(request, context)
            return await self._stream(request, context)
        except StatusError as error:
            outcome = str(error)
            raise  # The caller sees the same code, text and details.
        finally:
            print(context.method.full_method, outcome, flush=True)

    async def _call(self, request: Raw, context: CallContext) -> Raw:
        return await self._back.call(
            context.method,
            request,
            deadline=context.deadline,
            metadata=context.metadata,
        )

    async def _stream(self, incoming: Incoming, context: CallContext) -> Raw | None:
        streams = context.method.cardinality.client_streaming
        opening = self._back.open_stream(
            context.method,
            None if streams else await incoming.recv(),
            deadline=context.deadline,
            metadata=context.metadata,
        )
        async with opening as onward:
            sending = (
                asyncio.ensure_future(_send(incoming, onward)) if streams else None
            )
            try:
                async for message in onward:
                    await incoming.send(message)
            finally:
                if sending is not None:
                    sending.cancel()
            return onward.answer


async def _send(incoming: Incoming, onward: Onward) -> None:
    async for message in incoming:
        await onward.send(message)
    await onward.close_send()


async def main(front: str, back: str) -> None:
    async with await Client.connect(back, timeout=5, reconnect=5) as client:
        async with Server([], fallback=Proxy(client).pass_on) as server:
            await server.listen(front)
            print("serving", front, flush=True)
            await server.serve_until_signal(timeout=10)


asyncio.run(main(*sys.argv[1:]))
