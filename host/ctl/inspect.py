# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl inspect`: all that is known of containers, as JSON."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from kata_host.ctl.arguments import add_container_argument
from kata_host.ctl.errors import CommandError

if TYPE_CHECKING:
    from kata_host.ctl.program import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "inspect",
        help="show all that is known of containers, as JSON",
        usage="%(prog)s [options] CONTAINER...",
        description="Print an array of JSON objects with all that the host knows of "
        "containers: command, environment, limits, state, times and exit status.",
        epilog="Example:\n\n  kata-agent-ctl inspect web",
    )
    add_container_argument(parser, nargs="+")
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    from kata_host.ctl.found_container import find_container
    from kata_host.ctl.ps import to_json

    described = []
    for word in options.containers:
        found = find_container(word, options)
        if found.record is None or found.state is None:
            raise CommandError(f"container '{found.id}': not started by this program")
        fields = to_json(found.record, found.state)
        described.append({**fields, "address": found.target.address})
    print(json.dumps(described, indent=2))
    return 0
