# SPDX-License-Identifier: Apache-2.0
"""Options that several commands have: which guest, and which process in a container."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from kata_host.ctl.command_parser import is_text, text
from kata_host.ctl.errors import UsageError
from kata_host.ctl.host_stream import STDIN
from kata_host.ctl.target import CONNECT_TIMEOUT
from kata_host.option_types import seconds

if TYPE_CHECKING:
    from kata_protos import oci_pb2

GUEST_HELP = (
    "a name of `guest list`, or the address of an agent: "
    "hvsock:///path/of/the/guest.sock[:1024], vsock://CID[:1024] or unix:///path"
)


def add_guest_option(
    parser: argparse._ActionsContainer, *, required: bool, help: str = GUEST_HELP
) -> None:
    """Add `--guest`, for a command whose object is in the guest."""
    parser.add_argument(
        "--guest",
        "--address",
        type=text,
        required=required,
        metavar="GUEST",
        help=help,
    )


def add_guest_argument(parser: argparse._ActionsContainer) -> None:
    """Add the argument GUEST, for a command whose object is the guest itself."""
    parser.add_argument("guest", type=text, metavar="GUEST", help=GUEST_HELP)


def add_connect_timeout(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--connect-timeout",
        type=seconds,
        default=CONNECT_TIMEOUT,
        metavar="TIME",
        help="how long to try again while the guest does not answer "
        "(default: %(default)s)",
    )


def add_process_arguments(parser: argparse._ActionsContainer) -> None:
    """Add the options of a process that is about to start."""
    parser.add_argument(
        "-i",
        "--interactive",
        action="store_true",
        help="pass standard input to the command (default: its input is empty)",
    )
    parser.add_argument(
        "-t", "--tty", action="store_true", help="run the command on a terminal"
    )
    parser.add_argument(
        "-e",
        "--env",
        action="append",
        default=[],
        metavar="NAME[=VALUE]",
        help="set an environment variable; without a value, to the value that it has "
        "here; may be repeated",
    )
    parser.add_argument(
        "--cwd",
        default="",
        metavar="DIR",
        help="working directory, an absolute path in the container (default: the "
        "image's, or /)",
    )


def add_command_argument(parser: argparse._ActionsContainer) -> None:
    """Take everything from the first word that is not an option, unchanged."""
    parser.add_argument(
        "command",
        nargs=argparse.REMAINDER,
        metavar="COMMAND",
        help="the command and its arguments, after --",
    )


def check_process(options: argparse.Namespace) -> None:
    """Raise `UsageError` for process options that the parser lets through."""
    if options.command[:1] == ["--"]:
        del options.command[0]
    if not options.command:
        raise UsageError("no command to run")
    options.cwd = options.cwd or "/"
    if not options.cwd.startswith("/"):
        raise UsageError(f"--cwd '{options.cwd}': not an absolute path")
    environment = environment_of(options.env)
    for word in (*options.command, options.cwd, *environment, *environment.values()):
        if not is_text(word):
            # The agent's API has text only.
            raise UsageError(f"{os.fsencode(word)!r}: not UTF-8")


def environment_of(arguments: list[str]) -> dict[str, str]:
    """Read `--env NAME=VALUE` and `--env NAME`; skip a NAME that is not set here.

    Raises `UsageError`.
    """
    environment = {}
    for argument in arguments:
        name, assigned, value = argument.partition("=")
        if not name:
            raise UsageError(f"--env '{argument}': no name")
        if assigned:
            environment[name] = value
        elif name in os.environ:
            environment[name] = os.environ[name]
    return environment


def requested_process(options: argparse.Namespace) -> oci_pb2.Process:
    """Return the process that the options ask for, on a terminal of our size."""
    from kata_host.client.spec import default_process
    from kata_host.ctl import terminal

    process = default_process(
        options.command,
        env=environment_of(options.env),
        cwd=options.cwd,
        terminal=options.tty,
    )
    if options.tty and os.isatty(STDIN) and (size := terminal.size(STDIN)):
        process.ConsoleSize.Height, process.ConsoleSize.Width = size
    return process
