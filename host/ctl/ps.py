# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl ps`: the processes of a container, as the guest's kernel has them."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from kata_host.ctl.errors import CommandError

if TYPE_CHECKING:
    from kata_host.ctl.__main__ import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "ps",
        help="list the processes of a container",
        usage="%(prog)s --address ADDRESS CONTAINER [-- PS-OPTION...]",
        description="List the processes of a container. Options after -- are those of "
        "ps(1) that choose its columns.",
    )
    parser.add_argument("--address", required=True, help="the agent's")
    parser.add_argument("--json", action="store_true", help="their numbers, as JSON")
    parser.add_argument("container", metavar="CONTAINER", help="its id")
    parser.add_argument("options", nargs="*", metavar="PS-OPTION")
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    print(asyncio.run(_list(options)), end="")
    return 0


async def _list(options: argparse.Namespace) -> str:
    from kata_host.client import AgentClient
    from kata_protos import agent_pb2
    from ttrpc.errors import TtrpcError

    request = agent_pb2.ListProcessesRequest(
        container_id=options.container,
        format="json" if options.json else "table",
        args=options.options,
    )
    try:
        async with AgentClient.connect(options.address, timeout=5) as client:
            response = await client.agent.list_processes(request)
    except (TtrpcError, ValueError, OSError) as error:
        raise CommandError(str(error)) from error
    return printable(response.process_list.decode(errors="replace"))


def printable(text: str) -> str:
    """Let no control character of the guest's through, but for the ends of lines."""
    lines = (
        "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)
        for line in text.rstrip("\n").split("\n")
    )
    return "".join(f"{line}\n" for line in lines)
