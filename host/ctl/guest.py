# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl guest`: start guests that stay, list them, stop them."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

from kata_host.child import child_environment, module_command
from kata_host.ctl.command_parser import text
from kata_host.ctl.errors import (
    FAILED,
    CommandError,
    UsageError,
    guest_errors_as_command_errors,
)
from kata_host.ctl.ports import CONSOLE_PORT, LOG_PORT
from kata_host.ctl.signals import run
from kata_host.ctl.target import Target
from kata_host.interruption import INTERRUPTION
from kata_host.option_types import count, mebibytes
from kata_host.printable import printable

if TYPE_CHECKING:
    from kata_host.ctl.program import Subparsers
    from kata_host.guest.guest_entry import GuestEntry, GuestState
    from kata_host.guest.start_request import StartRequest

CHECK_TIMEOUT: Final = 30.0
"""Seconds that the agent of a new guest may take to listen, and then to answer."""
STOP_TIMEOUT: Final = 30.0
"""Seconds that a guest may take to end, before it is killed."""
OPTIONS: Final = (
    f"agent.debug_console_vport={CONSOLE_PORT}",
    f"agent.log_vport={LOG_PORT}",
)
"""Kernel options for `shell` and `logs`; the user's own come after."""


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
    start.set_defaults(main=start_guest)


def _add_list(verbs: Subparsers) -> None:
    listing = verbs.add_parser(
        "list",
        help="list the guests",
        usage="%(prog)s [--json]",
        description="List the guests that `guest start` has started. A guest that has "
        "ended stays in the list until `guest stop` forgets it.",
        epilog="Example:\n\n  kata-agent-ctl guest list --json",
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
        description=f"End guests and remove all that is left of them. A guest that has "
        f"not ended after {STOP_TIMEOUT:.0f} seconds is killed.",
        epilog="Example:\n\n  kata-agent-ctl guest stop one",
    )
    stop.add_argument("names", nargs="*", metavar="NAME", help="name of a guest")
    stop.add_argument("--all", action="store_true", help="end all guests")
    stop.set_defaults(main=stop_guests)


def start_guest(options: argparse.Namespace) -> int:
    from kata_host.ctl.own_guest import ready_image
    from kata_host.guest.leftovers import remove_leftovers
    from kata_host.guest.registry import check_name, runtime_directory
    from kata_host.guest.start_request import StartRequest

    name = options.name if options.name is not None else f"guest-{os.urandom(3).hex()}"
    for word in options.option:
        if not word or len(word.split()) != 1:
            raise UsageError(f"option {word!r}: not one word")
    with guest_errors_as_command_errors():
        check_name(name)
        runtime_directory()
        remove_leftovers()
        if options.vm:
            ready_image()
    request = StartRequest(
        name=name,
        kind="vm" if options.vm else "local",
        parameters=[*OPTIONS, *options.option],
        cpus=options.cpus,
        memory=options.memory,
    )
    with _started(request) as holder:
        address = _address(holder)
        run(_wait_for_agent(address))
        print(name, address, flush=True)
        _let_go(holder)
    return 0


def list_guests(options: argparse.Namespace) -> int:
    from kata_host.guest.leftovers import remove_leftovers
    from kata_host.guest.registry import find_all

    with guest_errors_as_command_errors():
        remove_leftovers()
        found = list(find_all())
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
    from kata_host.guest.leftovers import remove_leftovers
    from kata_host.guest.registry import find_all

    if bool(options.names) == options.all:
        raise UsageError("guest stop: name guests, or say --all")
    with guest_errors_as_command_errors():
        remove_leftovers()
        names = options.names or [entry.name for entry, _ in find_all()]
    failed = False
    for name in names:
        try:
            _stop(name)
        except CommandError as error:
            print(f"kata-agent-ctl: {printable(str(error))}", file=sys.stderr)
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
        "ending": entry.ending or None,
    }


@contextlib.contextmanager
def _started(request: StartRequest) -> Iterator[subprocess.Popen[bytes]]:
    """Start the process that holds the guest; end both if the block fails."""
    with INTERRUPTION.uninterrupted():
        holder = subprocess.Popen(
            module_command("kata_host.guest.holder", json.dumps(asdict(request))),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # A reader of our own standard error would otherwise wait for the guest's
            # end.
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env=child_environment(),
        )
    assert holder.stdin is not None
    assert holder.stdout is not None
    try:
        yield holder
    except BaseException:
        with INTERRUPTION.uninterrupted():
            holder.stdin.close()
            holder.terminate()
            holder.wait()
            _forget_lost(request.name)
        raise
    finally:
        holder.stdin.close()
        holder.stdout.close()


def _address(holder: subprocess.Popen[bytes]) -> str:
    """Return the agent's address, once the guest runs. Raises `CommandError`."""
    assert holder.stdout is not None
    line = holder.stdout.readline()
    reply = json.loads(line) if line else {"error": "guest's holder was killed"}
    if "error" in reply:
        raise CommandError(reply["error"])
    address: str = reply["address"]
    return address


def _let_go(holder: subprocess.Popen[bytes]) -> None:
    """Tell the holder that the guest is the user's from now on."""
    assert holder.stdin is not None
    INTERRUPTION.finish()
    with contextlib.suppress(BrokenPipeError):
        holder.stdin.write(b"\n")
        holder.stdin.flush()


def _forget_lost(name: str) -> None:
    """Remove the entry of a holder that was killed while it started the guest."""
    from kata_host.guest.guest import GuestError
    from kata_host.guest.guest_entry import GuestState
    from kata_host.guest.registry import find

    # The user needs the error of the start.
    with contextlib.suppress(GuestError, CommandError):
        if find(name)[1] is GuestState.LOST:
            _stop(name)


async def _wait_for_agent(address: str) -> None:
    async with Target(address, timeout=CHECK_TIMEOUT).client() as client:
        await client.check(CHECK_TIMEOUT)


def _stop(name: str) -> None:
    """End a guest, or forget one that has ended. Raises `CommandError`."""
    from kata_host.guest.guest_entry import GuestState
    from kata_host.guest.held_entry import HeldEntry
    from kata_host.guest.local_guest import sweep
    from kata_host.guest.registry import GuestNotFound, find

    with guest_errors_as_command_errors():
        entry, state = find(name)
        if state.is_held:
            if not entry.pid:
                raise CommandError(f"guest '{name}': still starting")
            _end_holder(entry)
        if state is GuestState.LOST and entry.kind != "vm":
            sweep()
        # A holder that was killed has not removed the entry.
        with contextlib.suppress(GuestNotFound):
            find(name)
            with HeldEntry(name) as held:
                held.remove()


def _end_holder(entry: GuestEntry) -> None:
    from kata_host.guest.registry import GuestNotFound, find

    try:
        pidfd = os.pidfd_open(entry.pid)
    except ProcessLookupError:
        return
    try:
        # Read again: the pid is still the holder's if the entry is still held.
        if find(entry.name)[0].pid != entry.pid:
            return
        signal.pidfd_send_signal(pidfd, signal.SIGTERM)
        if not select.select([pidfd], [], [], STOP_TIMEOUT)[0]:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            select.select([pidfd], [], [])
    except (ProcessLookupError, GuestNotFound):
        return
    finally:
        os.close(pidfd)
