# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl`: containers in guests, from the host's command line.

Every command is a module here with `add_parser(subparsers)`, which sets the
`main` of its options: a function from the parsed options to an exit status.
Modules import what they need to run only when they run, so that help is quick.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from kata_agent.version import VERSION
from kata_host.ctl.arguments import CommandParser
from kata_host.ctl.errors import CommandError

if TYPE_CHECKING:
    Subparsers: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]

PROGRAM: Final = "kata-agent-ctl"
COMMANDS: Final = ("run", "exec", "ps", "cp", "call", "guest", "shell", "logs", "trace")
"""Names of commands, of which each is a module of this package."""
RUNNING: Final = frozenset({"run", "exec"})
"""Commands whose exit status is that of a program in a container."""
INTERRUPTED: Final = 130
PIPE_BROKEN: Final = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    options = _parser(arguments).parse_args(arguments)
    try:
        status: int = options.main(options)
        sys.stdout.flush()
    except CommandError as error:
        print(f"{PROGRAM}: {error}", file=sys.stderr)
        return error.status
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Nobody reads what we print; nor will they what Python still holds.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_BROKEN
    return status


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    wanted = [name for name in COMMANDS if name in arguments[:1]]
    parser_class = CommandParser if set(wanted) & RUNNING else argparse.ArgumentParser
    parser = parser_class(
        prog=PROGRAM, description="Run containers in guests, and talk to their agents."
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {VERSION}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in wanted or COMMANDS:
        module = importlib.import_module(f"kata_host.ctl.{name}")
        module.add_parser(subparsers)
    return parser


if __name__ == "__main__":
    sys.exit(main())
