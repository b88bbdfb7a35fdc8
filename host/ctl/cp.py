# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl cp`: files of the host, copied into a guest."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from kata_host.ctl.arguments import add_connect_timeout, add_guest_option
from kata_host.ctl.command_parser import is_text, path
from kata_host.ctl.errors import CommandError, UsageError
from kata_host.ctl.signals import run
from kata_host.explain import explain
from kata_host.printable import printable

if TYPE_CHECKING:
    from kata_host.ctl.program import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "cp",
        help="copy a file or a directory into a guest",
        usage="%(prog)s --guest GUEST [options] SOURCE [NAME]",
        description="Copy a file or a directory of the host into a guest, with owners, "
        "modes and symbolic links, and print its path in the guest. Sockets, fifos and "
        "device nodes are left out, and named on standard error. The copy is below "
        "/run/kata-containers/shared/containers, the only directory that an agent lets "
        "the host write to; a container sees it if a mount of the container's spec "
        "says so.",
        epilog="Example:\n\n  kata-agent-ctl cp --guest one ./site www",
    )
    add_guest_option(parser, required=True)
    add_connect_timeout(parser)
    parser.add_argument(
        "source", metavar="SOURCE", type=path, help="file or directory of the host"
    )
    parser.add_argument(
        "name",
        metavar="NAME",
        nargs="?",
        help="name or path of the copy below that directory (default: the last part of "
        "SOURCE)",
    )
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    source: Path = options.source
    name = _own_name(source) if options.name is None else options.name.strip("/")
    if not name:
        raise UsageError(f"{str(source)!r}: needs a name in the guest")
    if not is_text(name):
        raise UsageError(f"{os.fsencode(name)!r}: name is not UTF-8")
    print(run(_copy(options, source, name)))
    return 0


def _own_name(source: Path) -> str:
    try:
        return source.resolve().name
    except (OSError, RuntimeError) as error:
        raise CommandError(f"{source}: {explain(error)}") from error


async def _copy(options: argparse.Namespace, source: Path, name: str) -> str:
    from kata_host.client.upload import SHARED, upload
    from kata_host.ctl.target import Target

    target = f"{SHARED}/{name}"
    async with Target.of(options).client() as client:
        left_out = await upload(client.agent, source, target)
    if source in left_out:
        raise CommandError(f"{source}: not a file, a directory or a symbolic link")
    for file in left_out:
        text = printable(f"left out, as it is no file: {file}")
        print(f"kata-agent-ctl: {text}", file=sys.stderr)
    return target
