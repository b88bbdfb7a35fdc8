# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl ps`: the containers of all guests."""

from __future__ import annotations

import argparse
import json
import shlex
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from kata_host.ctl.arguments import GUEST_HELP
from kata_host.ctl.command_parser import text
from kata_host.ctl.errors import CommandError, guest_errors_as_command_errors
from kata_host.ctl.guest_address import entry_of
from kata_host.ctl.table import add_format_option, print_table
from kata_host.printable import printable

if TYPE_CHECKING:
    from kata_host.ctl.program import Subparsers
    from kata_host.keeper.record import ContainerRecord, ContainerState

HEADER: Final = (
    *("CONTAINER", "GUEST", "ROOTFS", "COMMAND", "CREATED", "STATUS", "PORTS"),
)
COMMAND_WIDTH: Final = 30
_UNITS: Final = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "ps",
        help="list the containers of all guests",
        usage="%(prog)s [options]",
        description="List the containers that `run` and programs with the SDK have "
        "started in the guests of `guest list`. Those that have ended are left out, "
        "without --all. A container whose keeper was killed is called lost: it may "
        "still run.",
        epilog="Example:\n\n  kata-agent-ctl ps -a --format json",
    )
    parser.add_argument(
        "--guest", type=text, metavar="GUEST", help=f"only those of {GUEST_HELP}"
    )
    parser.add_argument(
        "-a", "--all", action="store_true", help="also those that have ended"
    )
    parser.add_argument(
        "-q", "--quiet", action="store_true", help="print the names alone"
    )
    add_format_option(parser)
    parser.set_defaults(main=main)


def main(options: argparse.Namespace) -> int:
    from kata_host.keeper.leftovers import remove_leftovers
    from kata_host.keeper.record import ContainerState
    from kata_host.keeper.records import find_all, find_in

    guest = None
    if options.guest is not None:
        entry = entry_of(options.guest)
        if entry is None:
            raise CommandError(f"guest '{options.guest}': not of `guest list`")
        guest = entry.name
    with guest_errors_as_command_errors():
        remove_leftovers()
        found = list(find_all() if guest is None else find_in(guest))
    if not options.all:
        found = [each for each in found if each[1] is not ContainerState.EXITED]
    if options.quiet:
        for record, _ in found:
            print(record.id)
    elif options.format == "json":
        for record, state in found:
            print(json.dumps(to_json(record, state)))
    else:
        print_table([HEADER, *(_row(*each) for each in found)])
    return 0


def to_json(record: ContainerRecord, state: ContainerState) -> dict[str, Any]:
    """Return what is known of a container, for programs."""
    fields = asdict(record)
    return {"id": fields.pop("id"), "state": state.value, **fields}


def _row(record: ContainerRecord, state: ContainerState) -> tuple[str, ...]:
    command = printable(shlex.join(record.command))
    if len(command) > COMMAND_WIDTH:
        command = f"{command[: COMMAND_WIDTH - 3]}..."
    return (
        record.id,
        record.guest,
        printable(record.rootfs),
        command,
        f"{_ago(record.created)} ago",
        _status(record, state),
        "" if record.has_ended else " ".join(record.ports),
    )


def _status(record: ContainerRecord, state: ContainerState) -> str:
    if record.has_ended:
        status = "?" if record.status is None else record.status
        return f"exited ({status}) {_ago(record.ended)} ago"
    return f"up {_ago(record.started)}" if state.value == "running" else state.value


def _ago(when: float) -> str:
    passed = max(0.0, time.time() - when)
    for length, unit in _UNITS:
        if passed >= length:
            number = int(passed // length)
            return f"{number} {unit}{'' if number == 1 else 's'}"
    return "0 seconds"
