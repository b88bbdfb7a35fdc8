# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl cp`: files of the host, copied into a guest."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from kata_host.ctl.errors import CommandError

if TYPE_CHECKING:
    from kata_host.ctl.__main__ import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "cp",
        help="copy a file or a directory into a guest",
        usage="%(prog)s --address ADDRESS SOURCE [NAME]",
        description="Copy a file or a directory of the host into the guest, with its "
        "owners, modes and symbolic links, and print its path there. That is below "
        "the one directory that an agent lets the host write to: a container sees it "
        "where a mount of its spec puts it.",
    )
    parser.add_argument("--address", required=True, help="the agent's")
    parser.add_argument("source", metavar="SOURCE", type=Path)
    parser.add_argument("name", metavar="NAME", nargs="?", help="in place of SOURCE's")
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    source: Path = options.source
    name = source.resolve().name if options.name is None else options.name.strip("/")
    if not name:
        raise CommandError(f"{str(source)!r}: needs a name in the guest")
    print(asyncio.run(_copy(options.address, source, name)))
    return 0


async def _copy(address: str, source: Path, name: str) -> str:
    from kata_host.client import AgentClient
    from kata_host.client.upload import SHARED, upload
    from ttrpc.errors import TtrpcError

    target = f"{SHARED}/{name}"
    try:
        async with AgentClient.connect(address, timeout=5) as client:
            await upload(client.agent, source, target)
    except* (TtrpcError, ValueError, OSError) as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise CommandError(str(error)) from error
    return target
