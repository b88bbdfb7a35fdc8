# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl guest`: start guests that stay, list them, stop them."""

from __future__ import annotations

import argparse
import json
import os
from typing import TYPE_CHECKING

from kata_host.ctl.command_parser import text
from kata_host.ctl.errors import (
    FAILED,
    CommandError,
    UsageError,
    guest_errors_as_command_errors,
)
from kata_host.ctl.guest_network import add_network_option
from kata_host.ctl.named_guest import OPTIONS, named_guest
from kata_host.ctl.patience import saying
from kata_host.ctl.ports import CONSOLE_PORT, LOG_PORT
from kata_host.ctl.remark import remark
from kata_host.ctl.warm_option import add_warm_option, check_warm
from kata_host.option_types import count, mebibytes
from kata_host.printable import printable

if TYPE_CHECKING:
    from kata_host.ctl.program import Subparsers
    from kata_host.guest.guest_entry import GuestEntry, GuestState


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "guest",
        help="start, list and stop guests",
        usage="%(prog)s start|list|stop [options]",
        description="Start, list and stop guests that outlive the command that starts "
        "them.",
        epilog="Example:\n\n  kata-agent-ctl guest start --vm --name one",
    )
    verbs = parser.add_subparsers(
        title="verbs", prog="kata-agent-ctl guest", metavar="VERB", required=True
    )
    _add_start(verbs)
    _add_list(verbs)
    _add_stop(verbs)


def _add_start(verbs: Subparsers) -> None:
    start = verbs.add_parser(
        "start",
        help="start a guest and print its name and address",
        usage="%(prog)s [options]",
        description="Start a guest, and print its name and the address of its agent "
        "once the agent answers. The guest's debug console is on port "
        f"{CONSOLE_PORT}, its log on port {LOG_PORT}.",
        epilog="Example:\n\n"
        "  kata-agent-ctl guest start --vm --name one -o agent.log=debug",
    )
    where = start.add_mutually_exclusive_group()
    where.add_argument(
        "--local",
        action="store_true",
        help="start a local guest: namespaces of this host, no VM (the default)",
    )
    where.add_argument("--vm", action="store_true", help="start a VM, with QEMU")
    start.add_argument(
        "--name",
        help="name of the guest: up to 32 lower-case letters, digits, '_', '.' and "
        "'-' (default: a new one)",
    )
    start.add_argument(
        "-o",
        "--option",
        type=text,
        action="append",
        default=[],
        metavar="WORD",
        help="a word for the kernel's command line, such as agent.log=debug; may be "
        "repeated",
    )
    start.add_argument(
        "--cpus",
        type=count,
        default=1,
        metavar="NUMBER",
        help="number of CPUs of a VM (default: %(default)s)",
    )
    start.add_argument(
        "--memory",
        type=mebibytes,
        default=512,
        metavar="SIZE",
        help="memory of a VM, a number of MiB or 2g, for example "
        "(default: %(default)s)",
    )
    add_network_option(start, "network of the guest, and of its containers")
    add_warm_option(start)
    start.set_defaults(main=start_guest)


def _add_list(verbs: Subparsers) -> None:
    listing = verbs.add_parser(
        "list",
        help="list the guests",
        usage="%(prog)s [options]",
        description="List the guests that `guest start` has started. A guest that has "
        "ended stays in the list until `guest stop` forgets it.",
        epilog="Example:\n\n  kata-agent-ctl guest list --json",
    )
    listing.add_argument(
        "-q", "--quiet", action="store_true", help="print the names alone"
    )
    listing.add_argument(
        "--json", action="store_true", help="print a JSON object for each, one a line"
    )
    listing.set_defaults(main=list_guests)


def _add_stop(verbs: Subparsers) -> None:
    stop = verbs.add_parser(
        "stop",
        help="end guests, and forget those that have ended",
        usage="%(prog)s NAME... | --all",
        description="End guests and remove all that is left of them. A guest that has "
        "not ended after 30 seconds is killed.",
        epilog="Example:\n\n  kata-agent-ctl guest stop one",
    )
    stop.add_argument("names", nargs="*", metavar="NAME", help="name of a guest")
    stop.add_argument("--all", action="store_true", help="end all guests")
    stop.set_defaults(main=stop_guests)


def start_guest(options: argparse.Namespace) -> int:
    from kata_host.guest.start_request import StartRequest

    name = options.name if options.name is not None else f"guest-{os.urandom(3).hex()}"
    check_warm(options)
    for word in options.option:
        if not word or len(word.split()) != 1:
            raise UsageError(f"option {word!r}: not one word")
    request = StartRequest(
        name=name,
        kind="vm" if options.vm else "local",
        parameters=[*OPTIONS, *options.option],
        cpus=options.cpus,
        memory=options.memory,
        network=options.network,
        is_warm=options.warm,
    )
    with named_guest(request) as (address, let_go):
        print(name, address, flush=True)
        let_go()
    return 0


def list_guests(options: argparse.Namespace) -> int:
    from kata_host.guest.registry import find_all
    from kata_host.keeper.leftovers import remove_leftovers

    with guest_errors_as_command_errors():
        remove_leftovers()
        found = list(find_all())
    if options.quiet:
        for entry, _ in found:
            print(entry.name)
        return 0
    if options.json:
        for entry, state in found:
            print(json.dumps(_fields(entry, state)))
        return 0
    rows = [("NAME", "KIND", "STATE", "ADDRESS")]
    for entry, state in found:
        reason = f": {printable(entry.ending)}" if entry.ending else ""
        rows.append((entry.name, entry.kind, state.value + reason, entry.address))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    return 0


def stop_guests(options: argparse.Namespace) -> int:
    from kata_host.guest.held_guest import stop_guest
    from kata_host.guest.registry import find_all
    from kata_host.keeper.leftovers import remove_leftovers

    if bool(options.names) == options.all:
        raise UsageError("guest stop: name guests, or say --all")
    with guest_errors_as_command_errors():
        remove_leftovers()
        names = options.names or [entry.name for entry, _ in find_all()]
    failed = False
    for name in names:
        try:
            with guest_errors_as_command_errors(), saying(f"guest '{name}' is ending"):
                stop_guest(name)
        except CommandError as error:
            remark(str(error))
            failed = True
    return FAILED if failed else 0


def _fields(entry: GuestEntry, state: GuestState) -> dict[str, object]:
    return {
        "name": entry.name,
        "kind": entry.kind,
        "state": state.value,
        "address": entry.address or None,
        "pid": entry.pid if entry.address else None,
        "started": entry.started,
        "network": entry.network,
        "ending": entry.ending or None,
    }
