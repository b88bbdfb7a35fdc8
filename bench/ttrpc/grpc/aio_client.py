# SPDX-License-Identifier: Apache-2.0
"""Load a server of `peer.v1.Echo` with grpc.aio's client: `bench.ttrpc.generator`."""

from __future__ import annotations

import grpc
from google.protobuf.wrappers_pb2 import BytesValue

from bench.ttrpc.generator import Options, Step, main, measure
from bench.ttrpc.grpc.paths import ECHO, ECHO_STREAM


async def load(options: Options) -> dict[str, object]:
    message = BytesValue(value=bytes(options.size))
    codec = {
        "request_serializer": BytesValue.SerializeToString,
        "response_deserializer": BytesValue.FromString,
    }
    async with grpc.aio.insecure_channel(f"unix:{options.addr}") as channel:
        echo = channel.unary_unary(ECHO, **codec)
        echo_stream = channel.stream_stream(ECHO_STREAM, **codec)

        def unary_step() -> Step:
            return lambda: echo(message)

        def bidi_step() -> Step:
            stream = echo_stream()

            async def ping_pong() -> object:
                await stream.write(message)
                return await stream.read()

            return ping_pong

        step = unary_step if options.mode == "unary" else bidi_step
        steps = [step() for _ in range(options.inflight)]
        return await measure(steps, message, options)


if __name__ == "__main__":
    main("python -m bench.ttrpc.grpc.aio_client", load)
