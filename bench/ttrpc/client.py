# SPDX-License-Identifier: Apache-2.0
"""Load a server of `peer.v1.Echo` with our client, as `tests/interop/bench` does in Go.

python -m bench.ttrpc.client -addr PATH [-mode unary|bidi] [-size N]
    [-inflight K] [-n N] [-warm N]
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Final

from google.protobuf.wrappers_pb2 import BytesValue

from bench.ttrpc.generator import Options, Step, main, measure
from bench.ttrpc.peer_pb2 import DESCRIPTOR
from ttrpc import Service
from ttrpc.aio import Client

ECHO: Final = Service.from_descriptor(DESCRIPTOR.services_by_name["Echo"]).methods


async def unary_step(client: Client, message: BytesValue) -> Step:
    method = ECHO["Echo"]
    return lambda: client.call(method, message)


async def bidi_step(client: Client, message: BytesValue, stack: AsyncExitStack) -> Step:
    stream = await stack.enter_async_context(
        await client.open_stream(ECHO["EchoStream"])
    )

    async def ping_pong() -> object:
        await stream.send(message)
        return await stream.recv()

    return ping_pong


async def load(options: Options) -> dict[str, object]:
    message = BytesValue(value=bytes(options.size))
    async with (
        await Client.connect(f"unix://{options.addr}", timeout=5) as client,
        AsyncExitStack() as stack,
    ):
        steps = [
            await unary_step(client, message)
            if options.mode == "unary"
            else await bidi_step(client, message, stack)
            for _ in range(options.inflight)
        ]
        return await measure(steps, message, options)


if __name__ == "__main__":
    main("python -m bench.ttrpc.client", load)
