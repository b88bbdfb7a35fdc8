# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl stats`: what containers use of their guests, again and again."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from kata_host.ctl.arguments import CONTAINER_HELP, GUEST_HELP, add_connect_timeout
from kata_host.ctl.command_parser import text
from kata_host.ctl.errors import CommandError, guest_errors_as_command_errors
from kata_host.ctl.host_stream import STDOUT
from kata_host.ctl.meter import Meter, Sample
from kata_host.ctl.signals import run
from kata_host.ctl.table import add_format_option, print_table
from kata_host.option_types import seconds

if TYPE_CHECKING:
    from kata_host.ctl.found_container import FoundContainer
    from kata_host.ctl.program import Subparsers

HEADER: Final = ("CONTAINER", "CPU %", "MEMORY", "LIMIT", "PIDS", "READ", "WRITTEN")
UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")
NONE: Final = "stats: no container runs"
CLEAR: Final = "\x1b[H\x1b[J"


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "stats",
        help="show what containers use: CPU, memory, processes",
        usage="%(prog)s [options] [CONTAINER...]",
        description="Show what containers use of their guests, all that run by "
        "default, until Ctrl-C. 100 % is one CPU.",
        epilog="Example:\n\n  kata-agent-ctl stats --no-stream --format json web",
    )
    parser.add_argument(
        "containers", nargs="*", type=text, metavar="CONTAINER", help=CONTAINER_HELP
    )
    parser.add_argument(
        "--guest", "--address", type=text, metavar="GUEST", help=GUEST_HELP
    )
    add_connect_timeout(parser)
    parser.add_argument(
        "--no-stream", action="store_true", help="show them once, and end"
    )
    parser.add_argument(
        "--interval",
        type=seconds,
        default=1.0,
        metavar="TIME",
        help="time between two looks (default: 1s)",
    )
    add_format_option(parser)
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    with guest_errors_as_command_errors():
        run(_show(options))
    return 0


def _containers(options: argparse.Namespace) -> Sequence[FoundContainer]:
    from kata_host.ctl.found_container import find_container
    from kata_host.keeper.record import ContainerState
    from kata_host.keeper.records import find_all

    words = options.containers or [
        f"{record.guest}/{record.id}"
        for record, state in find_all()
        if state in (ContainerState.RUNNING, ContainerState.LOST)
        and options.guest in (None, record.guest)
    ]
    if not words:
        raise CommandError(NONE)
    return [find_container(word, options) for word in words]


async def _show(options: argparse.Namespace) -> None:
    found = _containers(options)
    async with contextlib.AsyncExitStack() as stack:
        clients = {
            address: await stack.enter_async_context(target.client())
            for address, target in {
                each.target.address: each.target for each in found
            }.items()
        }
        meters = [Meter(clients[each.target.address], each.id) for each in found]
        # One that was named must be there; of all, some may end meanwhile.
        sampled = _samples if options.containers else _samples_of_those_left
        await sampled(meters)
        while True:
            await asyncio.sleep(options.interval)
            samples = await sampled(meters)
            if not samples:
                raise CommandError(NONE)
            _print(samples, options)
            if options.no_stream:
                return


async def _samples(meters: Sequence[Meter]) -> Sequence[Sample]:
    return [await meter.sample() for meter in meters]


async def _samples_of_those_left(meters: Sequence[Meter]) -> Sequence[Sample]:
    from ttrpc.codes import Code
    from ttrpc.errors import StatusError

    samples = []
    for meter in meters:
        try:
            samples.append(await meter.sample())
        except StatusError as error:
            if error.code not in (Code.NOT_FOUND, Code.INVALID_ARGUMENT):
                raise
    return samples


def _print(samples: Sequence[Sample], options: argparse.Namespace) -> None:
    if options.format == "json":
        for sample in samples:
            print(json.dumps(asdict(sample)), flush=True)
        return
    if os.isatty(STDOUT) and not options.no_stream:
        print(CLEAR, end="")
    print_table([HEADER, *map(_row, samples)])


def _row(sample: Sample) -> tuple[str, ...]:
    limit = to_text(sample.memory_limit) if sample.memory_limit else "-"
    return (
        sample.container,
        f"{sample.cpu_percent:.1f}",
        to_text(sample.memory),
        limit,
        str(sample.pids),
        to_text(sample.read),
        to_text(sample.written),
    )


def to_text(size: int) -> str:
    """Return bytes for people: `1.5 MiB`."""
    power = min(max(0, size.bit_length() - 1) // 10, len(UNITS) - 1)
    if not power:
        return f"{size} B"
    return f"{size / (1 << 10 * power):.1f} {UNITS[power]}"
