# SPDX-License-Identifier: Apache-2.0
"""Load a server of `peer.v1.Echo` with grpclib's client: `bench.ttrpc.generator`."""

from __future__ import annotations

from contextlib import AsyncExitStack

from google.protobuf.wrappers_pb2 import BytesValue
from grpclib.client import Channel, StreamStreamMethod, UnaryUnaryMethod

from bench.ttrpc.generator import Options, Step, main, measure
from bench.ttrpc.grpc.paths import ECHO, ECHO_STREAM


async def load(options: Options) -> dict[str, object]:
    message = BytesValue(value=bytes(options.size))
    async with Channel(path=options.addr) as channel, AsyncExitStack() as stack:
        echo = UnaryUnaryMethod(channel, ECHO, BytesValue, BytesValue)
        echo_stream = StreamStreamMethod(channel, ECHO_STREAM, BytesValue, BytesValue)

        async def unary_step() -> Step:
            return lambda: echo(message)

        async def bidi_step() -> Step:
            stream = await stack.enter_async_context(echo_stream.open())

            async def ping_pong() -> object:
                await stream.send_message(message)
                return await stream.recv_message()

            # grpclib's stream wants its end sent before it is left.
            stack.push_async_callback(stream.end)
            return ping_pong

        step = unary_step if options.mode == "unary" else bidi_step
        steps = [await step() for _ in range(options.inflight)]
        return await measure(steps, message, options)


if __name__ == "__main__":
    main("python -m bench.ttrpc.grpc.grpclib_client", load)
