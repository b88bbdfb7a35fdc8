# SPDX-License-Identifier: Apache-2.0
"""`kata-trace-forwarder`: takes spans off the trace port of guests.

The forwarder is for guests on vhost-vsock (QEMU), for many guests at once, and for
files. A collector that can listen on a unix socket needs no forwarder (TRACING.md).
"""

from __future__ import annotations

import argparse
import asyncio
import grp
import logging
import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from kata_host.explain import explain
from kata_host.forwarder.collector_address import CollectorAddress
from kata_host.forwarder.command_line import PROGRAM, make_parser
from kata_host.forwarder.json_lines import JsonLines
from kata_host.forwarder.listen import TraceListener, listen
from kata_host.forwarder.privileges import drop_privileges
from kata_host.forwarder.relay import Relay
from kata_host.forwarder.sink import Sink
from kata_host.forwarder.tee import Tee
from kata_host.forwarder.trace_server import TraceServer, TraceServerLimits
from kata_host.interrupted import Interrupted
from kata_host.interruption import INTERRUPTION
from kata_host.printable import printable
from kata_host.standard_outputs import drop_standard_output, open_standard_outputs
from kata_host.starter import open_standard_streams
from kata_host.stream_error import READER_GONE, ReaderGone, StreamError

log = logging.getLogger("kata-trace-forwarder")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; return its exit status.

    Without `argv`, this process is the program: its signals, streams and words.
    """
    try:
        try:
            if argv is None:
                INTERRUPTION.install()
                open_standard_streams()
                open_standard_outputs()
            return _main(argv)
        finally:
            INTERRUPTION.finish()
    except Interrupted as interrupted:
        return 128 + interrupted.number
    except ReaderGone:
        drop_standard_output()
        return READER_GONE
    except StreamError as error:
        drop_standard_output()
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return 1


def _main(argv: Sequence[str] | None) -> int:
    parser = make_parser()
    try:
        arguments = parser.parse_args(argv)
    except SystemExit:
        # After --help: at the end of Python, a failure would be noise.
        sys.stdout.flush()
        raise
    if arguments.to is None and arguments.file is None:
        parser.error("no destination for spans, use --to, --file or both")
    logging.basicConfig(
        level=logging.DEBUG if arguments.debug else logging.INFO,
        format="%(name)s: %(levelname)s: %(message)s",
    )
    try:
        return asyncio.run(_run(arguments))
    except (OSError, ValueError) as error:
        text = printable(explain(error))
        print(f"{PROGRAM}: {text}", file=sys.stderr)
        return 1


async def _run(arguments: argparse.Namespace) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        stack.enter_context(
            INTERRUPTION.instead(lambda: loop.call_soon_threadsafe(stop.set))
        )
        sink = _open_sink(arguments, stack)
        listeners = [
            await _listen(address, arguments, stack) for address in arguments.listen
        ]
        if os.geteuid() == 0:
            drop_privileges(arguments.user)
        limits = TraceServerLimits(guest_connections=arguments.guest_connections)
        await stack.enter_async_context(TraceServer(listeners, sink, limits=limits))
        for listener in listeners:
            log.info("listening on %s", listener.name)
        await stop.wait()
    return 0


def _open_sink(arguments: argparse.Namespace, stack: AsyncExitStack) -> Sink:
    file: Sink | None = None
    if arguments.file is not None:
        file = stack.enter_context(
            JsonLines(arguments.file, max_size=arguments.max_file_size)
        )
    if arguments.to is None:
        assert file is not None  # `main` requires one of the two.
        return file
    relay = Relay(CollectorAddress.parse(arguments.to))
    return relay if file is None else Tee(relay, file)


async def _listen(
    address: str, arguments: argparse.Namespace, stack: AsyncExitStack
) -> TraceListener:
    group = -1
    if arguments.socket_group is not None:
        group = _group(arguments.socket_group)
    listener = await listen(address, mode=arguments.socket_mode, group=group)
    stack.callback(listener.socket.close)
    name = listener.socket.getsockname()
    if isinstance(name, str):
        stack.callback(_remove, Path(name))
    return listener


def _group(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise ValueError(f"group {name!r}: not found") from None


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        # Without privileges it may have to stay; the next start replaces it.
        log.debug("socket %s not removed: %s", path, error)
