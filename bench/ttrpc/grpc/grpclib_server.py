# SPDX-License-Identifier: Apache-2.0
"""Serve the echoes of `peer.v1.Echo` with grpclib.

python -m bench.ttrpc.grpc.grpclib_server PATH
"""

from __future__ import annotations

import asyncio
import sys

from google.protobuf.wrappers_pb2 import BytesValue
from grpclib.const import Cardinality, Handler
from grpclib.server import Server, Stream

from bench.ttrpc.ending import serve_until_stdin_ends
from bench.ttrpc.grpc.paths import ECHO, ECHO_STREAM

Echoes = Stream[BytesValue, BytesValue]


class Echo:
    """What grpclib's generated base class would be, written out."""

    async def echo(self, stream: Echoes) -> None:
        message = await stream.recv_message()
        assert message is not None
        await stream.send_message(message)

    async def echo_stream(self, stream: Echoes) -> None:
        async for message in stream:
            await stream.send_message(message)

    def __mapping__(self) -> dict[str, Handler]:
        def handler(call: object, cardinality: Cardinality) -> Handler:
            return Handler(call, cardinality, BytesValue, BytesValue)

        return {
            ECHO: handler(self.echo, Cardinality.UNARY_UNARY),
            ECHO_STREAM: handler(self.echo_stream, Cardinality.STREAM_STREAM),
        }


async def serve(path: str) -> None:
    server = Server([Echo()])
    await server.start(path=path)
    await serve_until_stdin_ends()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
