# SPDX-License-Identifier: Apache-2.0
"""Options that several commands have: which guest, and which process in a container."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from kata_host.ctl.command_parser import is_text, path, text
from kata_host.ctl.errors import UsageError
from kata_host.ctl.target import CONNECT_TIMEOUT
from kata_host.explain import explain
from kata_host.option_types import seconds

if TYPE_CHECKING:
    from kata_protos import agent_pb2

GUEST_HELP = (
    "a name of `guest list`, or the address of an agent: "
    "hvsock:///path/of/the/guest.sock[:1024], vsock://CID[:1024] or unix:///path"
)
CONTAINER_HELP = (
    "a container of `ps`: its name, the beginning of its name, or GUEST/CONTAINER"
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


def add_guest_argument(
    parser: argparse._ActionsContainer, *, optional: bool = False
) -> None:
    """Add the argument GUEST, for a command whose object is the guest itself."""
    nargs = "?" if optional else None
    parser.add_argument(
        "guest", type=text, metavar="GUEST", nargs=nargs, help=GUEST_HELP
    )


def add_container_argument(
    parser: argparse._ActionsContainer, *, nargs: str = ""
) -> None:
    """Add CONTAINER, and the options that say where to look for it."""
    add_guest_option(parser, required=False, help=f"its guest: {GUEST_HELP}")
    add_connect_timeout(parser)
    if nargs:
        parser.add_argument(
            "containers",
            type=text,
            nargs=nargs,
            metavar="CONTAINER",
            help=CONTAINER_HELP,
        )
    else:
        parser.add_argument(
            "container", type=text, metavar="CONTAINER", help=CONTAINER_HELP
        )


def add_connect_timeout(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--connect-timeout",
        type=seconds,
        metavar="TIME",
        help="how long to try again while the guest does not answer (default: "
        f"{CONNECT_TIMEOUT:g}s for a guest that boots, and not at all for an address "
        "where nothing listens)",
    )


def add_process_arguments(parser: argparse._ActionsContainer, *, defaults: str) -> None:
    """Add the options of a process that is about to start.

    `defaults` says where the directory and the user come from.
    """
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
        "--env-file",
        action="append",
        type=path,
        default=[],
        metavar="FILE",
        help="set the variables of a file, one on each line; --env overrides them",
    )
    parser.add_argument(
        "-w",
        "--workdir",
        "--cwd",
        dest="cwd",
        default="",
        metavar="DIR",
        help="working directory, an absolute path in the container "
        f"(default: {defaults})",
    )
    parser.add_argument(
        "-u",
        "--user",
        default="",
        metavar="USER[:GROUP]",
        help=f"names or numbers of the container (default: {defaults})",
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
    """Raise `UsageError` for process options that the parser lets through.

    Reads the environment: `options.environment` is what the options set.
    """
    if options.command[:1] == ["--"]:
        del options.command[0]
    if not options.command:
        raise UsageError("no command to run")
    if options.cwd and not options.cwd.startswith("/"):
        raise UsageError(f"--workdir '{options.cwd}': not an absolute path")
    environment = environment_of(options.env, options.env_file)
    words = (*options.command, options.cwd, options.user, *environment)
    for word in (*words, *environment.values()):
        if not is_text(word):
            # The agent's API has text only.
            raise UsageError(f"{os.fsencode(word)!r}: not UTF-8")
    options.environment = environment


def environment_of(arguments: list[str], files: list[Path]) -> Mapping[str, str]:
    """Read `--env-file`, and `--env NAME=VALUE` and `--env NAME` over them.

    A NAME that is not set here is skipped. Raises `UsageError`.
    """
    environment = {}
    for where, argument in (
        *_lines_of(files),
        *(("--env", word) for word in arguments),
    ):
        name, assigned, value = argument.partition("=")
        if not name:
            raise UsageError(f"{where} '{argument}': no name")
        if assigned:
            environment[name] = value
        elif name in os.environ:
            environment[name] = os.environ[name]
    return environment


def _lines_of(files: list[Path]) -> Iterator[tuple[str, str]]:
    """Yield the file and the text of each line that is not empty and no comment."""
    for file in files:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            raise UsageError(f"--env-file {file}: not UTF-8") from None
        except OSError as error:
            raise UsageError(f"--env-file {explain(error)}") from error
        for line in lines:
            if line.strip() and not line.lstrip().startswith("#"):
                yield f"--env-file {file}:", line.lstrip()


def requested_user(options: argparse.Namespace) -> agent_pb2.StringUser | None:
    """Return the user that the options name. Raises `UsageError`."""
    from kata_host.client.user import parse_user

    if not options.user:
        return None
    try:
        return parse_user(options.user)
    except ValueError as error:
        raise UsageError(f"--user: {error}") from error
