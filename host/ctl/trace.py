# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl trace`: what a guest does, live, as a tree."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kata_host.ctl.errors import CommandError

if TYPE_CHECKING:
    from kata_host.ctl.__main__ import Subparsers
    from kata_host.forwarder import Receiver
    from kata_host.trace.span_record import SpanRecord

TRACE_PORT: Final = 10240


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "trace",
        help="show what a guest does",
        description="Switch tracing on in a guest, show each call as a tree when it "
        "ends, and switch tracing off again at the end (Ctrl-C).",
    )
    parser.add_argument(
        "--address", required=True, help="hvsock:///path/of/the/guest.sock:1024"
    )
    parser.add_argument(
        "--port", type=int, default=TRACE_PORT, help="the trace port (%(default)s)"
    )
    parser.add_argument(
        "--for", type=float, metavar="SECONDS", dest="seconds", help="end by itself"
    )
    parser.add_argument(
        "--html", type=Path, metavar="FILE", help="write a page with a waterfall too"
    )
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    return asyncio.run(trace(options))


async def trace(options: argparse.Namespace) -> int:
    """Trace until a signal or the time is up. Raises `CommandError`."""
    from kata_host.forwarder import Receiver
    from ttrpc.address import HybridVsockAddress, parse_address
    from ttrpc.errors import TtrpcError

    try:
        address = parse_address(options.address)
    except ValueError as error:
        raise CommandError(str(error), 2) from None
    if not isinstance(address, HybridVsockAddress):
        raise CommandError(f"address {options.address!r}: spans come by hvsock", 2)
    try:
        # First of all: a trace that cannot be written down would be lost.
        html = (
            None if options.html is None else options.html.open("w", encoding="utf-8")
        )
        async with Receiver(f"{address.path}_{options.port}") as receiver:
            live = Live()
            printing = asyncio.create_task(_print(receiver, live))
            try:
                async with _traced(options.address):
                    await _end(options.seconds)
            finally:
                printing.cancel()
            live.show(receiver.spans())  # StopTracing answers after the last span.
            if html is not None:
                from kata_host.trace.page import page

                with html:
                    html.write(page(receiver.spans()))
    except (OSError, TtrpcError) as error:
        raise CommandError(str(error), 1) from error
    return 0


@contextlib.asynccontextmanager
async def _traced(address: str) -> AsyncIterator[None]:
    from kata_protos import agent_pb2
    from kata_protos.agent_ttrpc import AgentServiceClient
    from ttrpc.aio import Client

    async with await Client.connect(address, timeout=5) as client:
        agent = AgentServiceClient(client)
        await agent.start_tracing(agent_pb2.StartTracingRequest())
        try:
            yield
        finally:
            await agent.stop_tracing(agent_pb2.StopTracingRequest())


async def _end(seconds: float | None) -> None:
    """Wait for SIGINT, SIGTERM, or the time to be up."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()


async def _print(receiver: Receiver, live: Live) -> None:
    while True:
        live.show(await receiver.wait_for(live.seen + 1))


class Live:
    """Shows trees as they become complete: children end, and arrive, first."""

    def __init__(self) -> None:
        self.seen = 0
        """Spans taken so far."""
        self._waiting: defaultdict[str, list[SpanRecord]] = defaultdict(list)

    def show(self, spans: Sequence[SpanRecord]) -> None:
        """Print what has become complete with the spans that are new."""
        from kata_host.trace.tree import render

        fresh, self.seen = spans[self.seen :], len(spans)
        for tree in self.completed(fresh):
            print(render(tree), end="", flush=True)

    def completed(self, spans: Iterable[SpanRecord]) -> Iterator[list[SpanRecord]]:
        """Take spans; yield each call's, and each root's, with what is below it."""
        from kata_tracing.kind import Kind

        for span in spans:
            tree = self._waiting[span.trace_id]
            tree.append(span)
            if span.kind is Kind.SERVER or not span.parent_id:
                yield self._waiting.pop(span.trace_id)
