# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl guest`: start guests that stay, list them, stop them."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from kata_host.child import child_environment, module_command
from kata_host.ctl.errors import CommandError

if TYPE_CHECKING:
    from kata_host.ctl.__main__ import Subparsers
    from kata_host.guest.guest_entry import GuestEntry, GuestState
    from kata_host.guest.start_request import StartRequest

ANSWER_TIMEOUT: Final = 30.0
"""Seconds for the agent of a guest that has started."""
STOP_TIMEOUT: Final = 30.0
OPTIONS: Final = ("agent.debug_console_vport=1026", "agent.log_vport=1025")
"""What `shell` and `logs` need; the user's own options come after."""


def add_parser(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "guest",
        help="start, list and stop guests",
        description="Guests that outlive the command that starts them.",
    )
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    _add_start(verbs)
    listing = verbs.add_parser("list", help="say which guests there are")
    listing.add_argument("--json", action="store_true", help="one object a line")
    listing.set_defaults(main=list_guests)
    stop = verbs.add_parser("stop", help="end guests, and forget those that ended")
    stop.add_argument("names", nargs="*", metavar="NAME")
    stop.add_argument("--all", action="store_true", help="all of them")
    stop.set_defaults(main=stop_guests)


def _add_start(verbs: Any) -> None:
    start = verbs.add_parser(
        "start",
        help="start a guest and print its name and address",
        description="Start a guest and print its name and its agent's address. Its "
        "debug console and its log have their usual ports, 1026 and 1025.",
    )
    where = start.add_mutually_exclusive_group()
    where.add_argument(
        "--local",
        action="store_true",
        help="in namespaces of this host, no VM (the default)",
    )
    where.add_argument("--vm", action="store_true", help="in a virtual machine")
    start.add_argument("--name", help="what to call it (default: one is made up)")
    start.add_argument(
        "-o",
        "--option",
        action="append",
        default=[],
        metavar="WORD",
        help="a word of the kernel's command line, such as agent.log=debug",
    )
    start.add_argument(
        "--cpus", type=int, default=1, help="of a VM (default: %(default)s)"
    )
    start.add_argument(
        "--memory",
        type=int,
        default=512,
        metavar="MIB",
        help="of a VM (default: %(default)s)",
    )
    start.set_defaults(main=start_guest)


def start_guest(options: argparse.Namespace) -> int:
    from kata_host.guest.registry import check_name
    from kata_host.guest.start_request import StartRequest

    name = options.name if options.name is not None else f"guest-{os.urandom(3).hex()}"
    for word in options.option:
        if not word or len(word.split()) != 1:
            raise CommandError(f"option {word!r}: not one word")
    with _one_line():
        check_name(name)
        if options.vm:
            _ensure_image()
    request = StartRequest(
        name=name,
        kind="vm" if options.vm else "local",
        parameters=[*OPTIONS, *options.option],
        cpus=options.cpus,
        memory=options.memory,
    )
    address = _hold(request)
    try:
        asyncio.run(_wait_for_agent(address))
    except BaseException:
        _stop(name)
        raise
    print(name, address)
    return 0


def list_guests(options: argparse.Namespace) -> int:
    from kata_host.guest.registry import find_all

    with _one_line():
        found = list(find_all())
    if options.json:
        for entry, state in found:
            print(json.dumps(_fields(entry, state)))
        return 0
    rows = [("NAME", "KIND", "STATE", "ADDRESS")]
    for entry, state in found:
        words = f"{state.value}: {entry.ending}" if entry.ending else state.value
        rows.append((entry.name, entry.kind, words, entry.address))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    return 0


def stop_guests(options: argparse.Namespace) -> int:
    from kata_host.guest.registry import find_all

    if bool(options.names) == options.all:
        raise CommandError("guest stop: name guests, or say --all", 2)
    with _one_line():
        names = options.names or [entry.name for entry, _ in find_all()]
    failed = False
    for name in names:
        try:
            _stop(name)
        except CommandError as error:
            print(f"kata-agent-ctl: {error}", file=sys.stderr)
            failed = True
    return int(failed)


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


def _ensure_image() -> None:
    from kata_host.guest.image.build import ensure
    from kata_host.guest.image.progress import Progress

    ensure(Progress())


def _hold(request: StartRequest) -> str:
    """Start the process that holds the guest; return the agent's address."""
    holder = subprocess.Popen(
        module_command("kata_host.guest.holder", json.dumps(asdict(request))),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        # Whoever waits for the end of our own would wait for that of the guest.
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env=child_environment(),
    )
    assert holder.stdout is not None
    with holder.stdout:
        try:
            line = holder.stdout.readline()
        except BaseException:
            holder.terminate()
            holder.wait()
            raise
    answer = json.loads(line) if line else {"error": "its holder was killed"}
    if "error" in answer:
        holder.wait()
        raise CommandError(answer["error"])
    address: str = answer["address"]
    return address


async def _wait_for_agent(address: str) -> None:
    from kata_host.client import AgentClient
    from ttrpc.errors import TtrpcError

    try:
        async with AgentClient.connect(address, timeout=ANSWER_TIMEOUT) as agent:
            await agent.check(ANSWER_TIMEOUT)
    except (TtrpcError, OSError) as error:
        raise CommandError(str(error)) from error


def _stop(name: str) -> None:
    """End a guest, or forget one that has ended. Raises `CommandError`."""
    from kata_host.guest.held_entry import HeldEntry
    from kata_host.guest.registry import GuestNotFound, find

    with _one_line():
        entry, state = find(name)
        if state.is_held:
            if not entry.pid:
                raise CommandError(f"guest '{name}': is just being started")
            _end_holder(entry)
        # A holder that could not clean up has left this to us.
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
        # Looked at again: the pid was the holder's if it still holds the entry.
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


@contextlib.contextmanager
def _one_line() -> Iterator[None]:
    """Make what goes wrong with a guest a `CommandError`."""
    from kata_host.guest.guest import GuestError

    try:
        yield
    except (GuestError, OSError) as error:
        raise CommandError(str(error)) from error
