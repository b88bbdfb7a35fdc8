# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl forward`: programs of containers and guests on ports of this host."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kata_host.ctl.arguments import CONTAINER_HELP, GUEST_HELP, add_connect_timeout
from kata_host.ctl.command_parser import text
from kata_host.ctl.found_container import container_or_guest
from kata_host.ctl.published import published_port
from kata_host.ctl.published_ports import PublishedPorts
from kata_host.ctl.signals import run, until_signal
from kata_host.ctl.target import Target

if TYPE_CHECKING:
    from kata_host.ctl.program import Subparsers
    from kata_host.forwarding.published_port import PublishedPort


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "forward",
        help="have programs of a container or a guest on ports of this host",
        usage="%(prog)s [options] CONTAINER|GUEST [[ADDRESS:]PORT:]TARGET...",
        description="Listen on ports of this host, and connect each client to a "
        "program in a container, or in a guest, until Ctrl-C or SIGTERM. The guest "
        "needs no network: the connections go through its agent, which needs the "
        "kernel option agent.forward_vport=1028, which guests of ours have.\n\n"
        "TARGET is the program's port, or the absolute path of its unix socket. PORT "
        "is that of this host, 0 for a free one; by default the program's. ADDRESS is "
        "127.0.0.1 by default, which other machines do not reach.",
        epilog="Examples:\n\n"
        "  kata-agent-ctl forward web 80\n"
        "  kata-agent-ctl forward web 8080:80 0:/run/app.sock\n"
        "  kata-agent-ctl forward one/web 0.0.0.0:8080:80",
    )
    add_connect_timeout(parser)
    parser.add_argument(
        "name",
        type=text,
        metavar="CONTAINER|GUEST",
        help=f"{CONTAINER_HELP}; or {GUEST_HELP}",
    )
    parser.add_argument(
        "ports",
        type=lambda word: published_port(word, same=True),
        nargs="+",
        metavar="TARGET",
        help="a program, and the port of this host before it",
    )
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    from kata_host.forwarding.guest_socket import GUEST

    record = container_or_guest(options.name)
    if record is None:
        options.guest = options.name
        container = GUEST
    else:
        options.guest = record.guest
        container = record.id
    run(_forward(Target.of(options), options.name, container, options.ports))
    return 0


async def _forward(
    target: Target, name: str, container: str, ports: Sequence[PublishedPort]
) -> None:
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(target.client())
        published = PublishedPorts(ports)
        await published.check(target.address)
        stack.enter_context(published)
        await stack.enter_async_context(published.served(target.address, container))
        for place, program in published.places:
            print(f"{place} -> {name}:{program}", flush=True)
        waiting = asyncio.ensure_future(until_signal())
        connected = asyncio.ensure_future(client.wait_closed())
        tasks: set[asyncio.Future[Any]] = {waiting, connected}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if connected.done():
                raise connected.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
