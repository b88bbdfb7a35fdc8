# SPDX-License-Identifier: Apache-2.0
"""What the commands that run a process have in common on the command line."""

from __future__ import annotations

import argparse
import os
from typing import Final, NoReturn

from kata_host.ctl.errors import CommandError

FAILED: Final = 125
"""Exit status when the guest, the agent or this program failed, as docker's."""


class CommandParser(argparse.ArgumentParser):
    """Says with its exit status that it was not the command that failed."""

    def error(self, message: str) -> NoReturn:
        self.exit(FAILED, f"{self.prog}: {message}\n")


def add_process_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-i", "--interactive", action="store_true", help="pass standard input on"
    )
    parser.add_argument("-t", "--tty", action="store_true", help="give it a terminal")
    parser.add_argument(
        "-e",
        "--env",
        action="append",
        default=[],
        metavar="K[=V]",
        help="set a variable; without a value, as it is here",
    )
    parser.add_argument("--cwd", default="/", metavar="DIR", help="where it starts")


def add_command_argument(parser: argparse.ArgumentParser) -> None:
    """Take all from the first word that is no option, as it is."""
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")


def check_process(options: argparse.Namespace) -> None:
    """Raise `CommandError` for what the parser lets through."""
    if options.command[:1] == ["--"]:
        del options.command[0]
    if not options.command:
        raise CommandError("no command to run", FAILED)
    if not options.cwd.startswith("/"):
        raise CommandError(f"--cwd '{options.cwd}': not an absolute path", FAILED)


def environment_of(arguments: list[str]) -> dict[str, str]:
    """Read `--env K=V` and `--env K`, which is left out where K is not set."""
    environment = {}
    for argument in arguments:
        name, assigned, value = argument.partition("=")
        if not name:
            raise CommandError(f"--env '{argument}': no name", FAILED)
        if assigned:
            environment[name] = value
        elif name in os.environ:
            environment[name] = os.environ[name]
    return environment
