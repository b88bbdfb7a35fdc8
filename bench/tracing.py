# SPDX-License-Identifier: Apache-2.0
"""What tracing costs: `python -m bench.tracing`.

A call with one step inside, through the real server interceptor, with tracing off
and with a collector that hangs, in turns; and one span by itself.
"""

from __future__ import annotations

import asyncio
import socket
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from protos import agent_pb2
from tracing.interceptor import server_interceptor
from tracing.port import Limits
from tracing.setup import Tracing
from tracing.span import span
from ttrpc.codes import Code
from ttrpc.context import CallContext
from ttrpc.errors import StatusError
from ttrpc.service import Service

ROUNDS: Final = 9
CALLS: Final = 200
STEP: Final = 0.0005
"""Seconds of work in a call; a container's real steps take 2 to 20 ms."""
SPANS: Final = 2000
SERVICE: Final = Service.from_descriptor(
    agent_pb2.DESCRIPTOR.services_by_name["AgentService"]
)


async def call(tracing: Tracing) -> float:
    """Return the seconds that one call takes, `CALLS` of them in a row."""
    traced = server_interceptor(tracing, lambda _: StatusError(Code.INTERNAL))
    request = agent_pb2.StartContainerRequest(container_id="c1")

    async def proceed(request: Any, context: CallContext) -> None:
        with span("process.start", subsystem="container"):
            await asyncio.sleep(STEP)

    began = time.perf_counter()
    for _ in range(CALLS):
        await traced(request, CallContext(SERVICE.methods["StartContainer"]), proceed)
    return (time.perf_counter() - began) / CALLS


async def single_span(connect: Any) -> float:
    """Return the seconds of a span with five attributes, the best of the rounds."""
    tracing = Tracing(connect, flush_timeout=0, limits=Limits(queue_spans=SPANS * 99))
    await tracing.start("collated")
    attributes = {f"key.{number}": "value" for number in range(4)}
    best = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        for _ in range(SPANS):
            with span("a.b", subsystem="bench", **attributes):
                pass
        best.append((time.perf_counter() - began) / SPANS)
        await asyncio.sleep(0.3)  # The sender thread's turn.
    await tracing.stop()
    return min(best)


def disabled_span() -> float:
    began = time.perf_counter()
    for _ in range(SPANS * 10):
        with span("a.b", subsystem="bench"):
            pass
    return (time.perf_counter() - began) / SPANS / 10


async def run(path: str) -> None:
    # A collector that hangs: it listens, and never accepts.
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(8)

    def connect(timeout: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        connection.connect(path)
        return connection

    off: list[float] = []
    hung: list[float] = []
    on, no = Tracing(connect, flush_timeout=0), Tracing(connect)
    await on.start("collated")
    tracer = on.tracer
    from tracing.span import use_tracer

    for _ in range(ROUNDS):
        use_tracer(None)
        off.append(await call(no))
        use_tracer(tracer)
        hung.append(await call(on))
    await on.stop()
    ratio = statistics.median(h / o for h, o in zip(hung, off, strict=True))
    cost = await single_span(connect)
    print(f"call, tracing off         {statistics.median(off) * 1e6:8.1f} us")
    print(f"call, collector hung      {statistics.median(hung) * 1e6:8.1f} us")
    print(f"ratio                     {ratio:8.3f}")
    print(f"span with five attributes {cost * 1e6:8.1f} us  (budget 60)")
    print(f"span, tracing off         {disabled_span() * 1e6:8.2f} us")
    listener.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run(str(Path(directory, "port"))))
