# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl trace`: the calls that a guest answers, live, as trees of spans."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from kata_host.ctl.arguments import add_connect_timeout, add_guest_argument
from kata_host.ctl.command_parser import path, port
from kata_host.ctl.errors import CommandError, UsageError
from kata_host.ctl.ports import TRACE_PORT
from kata_host.ctl.signals import run, until_signal
from kata_host.ctl.target import Target
from kata_host.explain import explain
from kata_host.option_types import seconds

if TYPE_CHECKING:
    from kata_host.client import AgentClient
    from kata_host.ctl.live_trace import LiveTrace
    from kata_host.ctl.program import Subparsers
    from kata_host.forwarder import Receiver


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "trace",
        help="show the calls that a guest answers, as trees with durations",
        usage="%(prog)s [options] GUEST|--from=FILE",
        description="Switch tracing on in a guest, print each call as a tree of spans "
        "when the call ends, and switch tracing off again at the end, which is Ctrl-C "
        "or SIGTERM. The guest must be reached by "
        "hvsock, because its spans arrive at a socket beside that one.\n\n"
        "With --from, show spans that were kept in a file: as trees, or with --html as "
        "a web page.",
        epilog="Examples:\n\n"
        "  kata-agent-ctl trace --html trace.html one\n"
        "  kata-agent-ctl trace --from spans.jsonl --html trace.html",
    )
    add_guest_argument(parser, optional=True)
    add_connect_timeout(parser)
    parser.add_argument(
        "--port",
        type=port,
        default=TRACE_PORT,
        help="the host's port that the guest sends its spans to, agent.trace_vport "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--for",
        type=seconds,
        metavar="TIME",
        dest="seconds",
        help="end after so long (default: no limit)",
    )
    parser.add_argument(
        "--from",
        type=path,
        metavar="FILE",
        dest="source",
        help="show the spans of a file, of OTLP/JSON, one batch a line, as "
        "`kata-trace-forwarder --file` and the web page write",
    )
    parser.add_argument(
        "--html",
        type=path,
        metavar="FILE",
        help="at the end, also write all traces into a web page",
    )
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    if options.source is not None:
        return _show_file(options)
    if options.guest is None:
        raise UsageError("trace: name a guest, or a file with --from")
    target = Target.of(options)
    run(_trace(target, _span_socket(target, options.port), options))
    return 0


def _show_file(options: argparse.Namespace) -> int:
    """Show the spans of a file: as a page if one is asked for, or as trees."""
    from kata_host.ctl.remark import remark
    from kata_host.ctl.trace_page import check_page, write_page
    from kata_host.trace.fitting import fitting
    from kata_host.trace.span_file import SpanFileError, read_spans
    from kata_host.trace.tree import render_tree

    if options.guest is not None or options.seconds is not None:
        raise UsageError("--from: not with a guest, nor with --for")
    if options.html is not None:
        check_page(options.html)
    try:
        file = read_spans(options.source)
    except OSError as error:
        raise CommandError(f"{options.source}: {error.strerror}") from error
    except SpanFileError as error:
        raise CommandError(str(error)) from error
    if not file.is_whole:
        remark(f"{options.source}: only the first {len(file.spans)} spans are shown")
    if options.html is not None:
        write_page(options.html, file.spans)
    else:
        print(fitting(render_tree(file.spans), sys.stdout.encoding), end="")
    return 0


def _span_socket(target: Target, number: int) -> str:
    """Return the path at which the guest's connections to a host port arrive."""
    from ttrpc.address import HybridVsockAddress, parse_address

    address = parse_address(target.address)
    if not isinstance(address, HybridVsockAddress):
        raise UsageError(f"address '{address}': only an hvsock address can be traced")
    return f"{address.path}_{number}"


async def _trace(target: Target, socket: str, options: argparse.Namespace) -> None:
    from kata_host.ctl.live_trace import LiveTrace
    from kata_host.ctl.trace_page import check_page, write_page
    from kata_host.forwarder import Receiver

    try:
        if options.html is not None:
            check_page(options.html)
        async with Receiver(socket) as receiver:
            live, is_whole = LiveTrace(), False
            try:
                async with _traced(target) as client:
                    await _print_until_signal(receiver, live, options.seconds, client)
                # StopTracing has answered after the last span was delivered.
                live.show(receiver.spans())
                is_whole = True
            finally:
                # Also of a guest that has ended; but no page of nothing for an error.
                if options.html is not None and (is_whole or receiver.spans()):
                    write_page(options.html, receiver.spans())
    except OSError as error:
        raise CommandError(explain(error)) from error


@contextlib.asynccontextmanager
async def _traced(target: Target) -> AsyncIterator[AgentClient]:
    """Have tracing switched on in the guest during the block."""
    from kata_protos import agent_pb2

    async with target.client() as client:
        await client.agent.start_tracing(agent_pb2.StartTracingRequest())
        try:
            yield client
        finally:
            await client.agent.stop_tracing(agent_pb2.StopTracingRequest())


async def _print_until_signal(
    receiver: Receiver, live: LiveTrace, seconds: float | None, client: AgentClient
) -> None:
    """Print traces as they become complete.

    Raises `Closed` if the connection to the agent ends, as with its guest.
    """
    printing = asyncio.ensure_future(_print(receiver, live))
    waiting = asyncio.ensure_future(until_signal(seconds))
    connected = asyncio.ensure_future(client.wait_closed())
    tasks: set[asyncio.Future[Any]] = {printing, waiting, connected}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if printing.done():
            printing.result()
        if connected.done():
            raise connected.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _print(receiver: Receiver, live: LiveTrace) -> None:
    while True:
        live.show(await receiver.wait_for(live.seen + 1))
