# SPDX-License-Identifier: Apache-2.0
"""Load a server of `peer.v1.Echo` with our client, as `tests/interop/bench` does in Go.

    python -m bench.ttrpc.client -addr PATH [-mode unary|bidi] [-size N]
        [-inflight K] [-n N] [-warm N]

Prints one JSON object: calls a second, and latencies in microseconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final

from google.protobuf.wrappers_pb2 import BytesValue

from bench.ttrpc.peer_pb2 import DESCRIPTOR
from ttrpc import Service
from ttrpc.aio import Client

ECHO: Final = Service.from_descriptor(DESCRIPTOR.services_by_name["Echo"]).methods

Step = Callable[[], Awaitable[object]]
"""One call; the steps of one worker follow each other."""


async def unary_step(client: Client, message: BytesValue) -> Step:
    method = ECHO["Echo"]
    return lambda: client.call(method, message)


async def bidi_step(client: Client, message: BytesValue, stack: AsyncExitStack) -> Step:
    stream = await stack.enter_async_context(
        await client.open_stream(ECHO["EchoStream"])
    )

    async def ping_pong() -> None:
        await stream.send(message)
        await stream.recv()

    return ping_pong


async def work(step: Step, count: int) -> list[float]:
    """Make `count` steps; return how long each took, in seconds."""
    clock = time.perf_counter
    latencies = []
    for _ in range(count):
        start = clock()
        await step()
        latencies.append(clock() - start)
    return latencies


async def load(options: argparse.Namespace) -> dict[str, object]:
    message = BytesValue(value=bytes(options.size))
    workers = options.inflight
    async with (
        await Client.connect(f"unix://{options.addr}", timeout=5) as client,
        AsyncExitStack() as stack,
    ):
        steps = [
            await unary_step(client, message)
            if options.mode == "unary"
            else await bidi_step(client, message, stack)
            for _ in range(workers)
        ]
        warm = max(1, options.warm // workers)
        await asyncio.gather(*(work(step, warm) for step in steps))
        each = max(1, options.n // workers)
        start = time.perf_counter()
        measured = await asyncio.gather(*(work(step, each) for step in steps))
        elapsed = time.perf_counter() - start
    latencies = sorted(second for one in measured for second in one)
    return {
        "mode": options.mode,
        "size": options.size,
        "inflight": workers,
        "n": len(latencies),
        "seconds": elapsed,
        "rate": len(latencies) / elapsed,
        "p50_us": latencies[len(latencies) // 2] * 1e6,
        "p99_us": latencies[len(latencies) * 99 // 100] * 1e6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.ttrpc.client")
    parser.add_argument("-addr", required=True)
    parser.add_argument("-mode", choices=("unary", "bidi"), default="unary")
    parser.add_argument("-size", type=int, default=64)
    parser.add_argument("-inflight", type=int, default=1)
    parser.add_argument("-n", type=int, default=1000)
    parser.add_argument("-warm", type=int, default=100)
    print(json.dumps(asyncio.run(load(parser.parse_args()))))


if __name__ == "__main__":
    main()
