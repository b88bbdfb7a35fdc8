# SPDX-License-Identifier: Apache-2.0
"""Serve `peer.v1` on a unix socket.

    python -m bench.ttrpc.server [--grace SECONDS] PATH|@NAME

Prints "ready" when it listens, shuts down in order on SIGTERM and ends when its
standard input does, so that it never outlives its parent.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys

from bench.ttrpc.service import services
from ttrpc import Limits
from ttrpc.aio import Server


async def serve(address: str, grace: float, limits: Limits) -> None:
    server = Server(services(), limits=limits)
    await server.listen(f"unix://{address}")
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    loop.add_reader(sys.stdin, lambda: os.read(0, 4096) or os._exit(0))
    print("ready", flush=True)
    await ended.wait()
    if not await server.shutdown(grace):
        sys.exit("calls were cut off")
    if server.calls_in_flight:
        sys.exit(f"{server.calls_in_flight} calls never ended")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.ttrpc.server")
    parser.add_argument("--grace", type=float, default=10.0)
    parser.add_argument("--calls", type=int, default=Limits().calls)
    parser.add_argument("--connections", type=int, default=Limits().connections)
    parser.add_argument("--log", action="store_true", help="log to standard error")
    parser.add_argument("address")
    options = parser.parse_args()
    # Handlers fail here on purpose.
    level = logging.DEBUG if options.log else logging.CRITICAL
    logging.basicConfig(level=level)
    limits = Limits(calls=options.calls, connections=options.connections)
    asyncio.run(serve(options.address, options.grace, limits))


if __name__ == "__main__":
    main()
