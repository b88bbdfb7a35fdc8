# SPDX-License-Identifier: Apache-2.0
"""Serve the echoes of `peer.v1.Echo` with grpc.aio.

python -m bench.ttrpc.grpc.aio_server PATH
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import grpc
from google.protobuf.wrappers_pb2 import BytesValue

from bench.ttrpc.ending import serve_until_stdin_ends
from bench.ttrpc.grpc.paths import ECHO, ECHO_STREAM, SERVICE


async def echo(request: BytesValue, context: object) -> BytesValue:
    return request


async def echo_stream(
    requests: AsyncIterator[BytesValue], context: object
) -> AsyncIterator[BytesValue]:
    async for request in requests:
        yield request


async def serve(path: str) -> None:
    codec = {
        "request_deserializer": BytesValue.FromString,
        "response_serializer": BytesValue.SerializeToString,
    }
    methods = {
        ECHO: grpc.unary_unary_rpc_method_handler(echo, **codec),
        ECHO_STREAM: grpc.stream_stream_rpc_method_handler(echo_stream, **codec),
    }
    server = grpc.aio.server()
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler(
                SERVICE, {path.rpartition("/")[2]: way for path, way in methods.items()}
            )
        ]
    )
    server.add_insecure_port(f"unix:{path}")
    await server.start()
    await serve_until_stdin_ends()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
