# SPDX-License-Identifier: Apache-2.0
"""`kata-agent-ctl`: containers in guests, from the host's command line.

Every command is a module of this package with `add_parser(subparsers)`, which sets the
`main` of its options: a function from the parsed options to an exit status. A module
imports the libraries of its command only when the command runs, so that help is quick.
"""

from __future__ import annotations

import importlib
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from kata_agent.version import VERSION
from kata_host.ctl.errors import FAILED, RUN_FAILED, CommandError, UsageError
from kata_host.interrupted import Interrupted
from kata_host.interruption import INTERRUPTION
from kata_host.printable import printable
from kata_host.standard_outputs import drop_standard_output, open_standard_outputs
from kata_host.starter import open_standard_streams
from kata_host.stream_error import READER_GONE, ReaderGone, StreamError

if TYPE_CHECKING:
    import argparse
    from typing import TypeAlias

    from kata_host.ctl.command_parser import CommandParser

    Subparsers: TypeAlias = argparse._SubParsersAction[CommandParser]

PROGRAM: Final = "kata-agent-ctl"
COMMANDS: Final = (
    *("run", "exec", "ps", "logs", "attach", "stop", "kill", "rm", "wait"),
    *("inspect", "stats", "top", "cp", "forward", "guest", "image", "call"),
    *("shell", "trace"),
)
"""Names of commands, of which each is a module of this package."""
RUNNING: Final = frozenset({"run", "exec"})
"""Commands whose exit status is that of a program in a container."""

EPILOG: Final = """\
The exit status is 0 when the command succeeded, 1 when it failed, and 2 when the
command line was wrong. `run` and `exec` return the status of the program in the
container, or 128+n when signal n ended that program, 127 when the container has no
such program, 126 when it cannot be executed, and 125 when they failed themselves or
their command line was wrong. One line on standard error gives the reason.

Example, which starts a guest and runs commands in it:

  kata-agent-ctl guest start --name one
  kata-agent-ctl run --guest one -- uname -a
  kata-agent-ctl run --detach --guest one --name web -- httpd -f
  kata-agent-ctl exec web -- ps
  kata-agent-ctl rm --force web
  kata-agent-ctl guest stop one"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status.

    Without `arguments`, this process is the program: its signals, streams and words.
    """
    try:
        try:
            if arguments is None:
                _become_program()
                arguments = sys.argv[1:]
            return _run(arguments)
        finally:
            INTERRUPTION.finish()
    except Interrupted as interrupted:
        if interrupted.number is not signal.SIGINT:
            _say(f"ended by {interrupted.number.name}")
        return 128 + interrupted.number


def _run(arguments: Sequence[str]) -> int:
    command = [name for name in arguments[:1] if name in COMMANDS]
    runs_program = not RUNNING.isdisjoint(command)
    try:
        if arguments[:1] == ["--version"]:
            # Without argparse, because scripts ask for it.
            print(_version())
            status = 0
        elif arguments and not command and not arguments[0].startswith("-"):
            from kata_host.ctl.unknown_command import why_unknown

            raise UsageError(why_unknown(arguments[0], COMMANDS))
        else:
            parser = make_parser(command or COMMANDS)
            options, unknown = parser.parse_known_args(arguments)
            if unknown:
                # With the help of the command: argparse's own line has the program's.
                words, where = " ".join(unknown), " ".join([PROGRAM, *command])
                raise UsageError(
                    f"unrecognized arguments: {words} (see {where} --help)"
                )
            status = options.main(options)
        sys.stdout.flush()
    except CommandError as error:
        _say(str(error))
        return error.run_status if runs_program else error.status
    except ReaderGone:
        drop_standard_output()
        return READER_GONE
    except StreamError as error:
        _say(str(error))
        drop_standard_output()
        return RUN_FAILED if runs_program else FAILED
    return status


def _version() -> str:
    return f"{PROGRAM} {VERSION}"


def _say(text: str) -> None:
    print(f"{PROGRAM}: {printable(text)}", file=sys.stderr)


def _become_program() -> None:
    INTERRUPTION.install()
    open_standard_streams()
    open_standard_outputs()
    # Ignored, it would make every child's exit status 0 (man 2 wait).
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)


def make_parser(commands: Sequence[str] = COMMANDS) -> CommandParser:
    """Return the parser of the whole command line, or of some of its commands."""
    from kata_host.ctl.command_parser import CommandParser

    parser = CommandParser(
        prog=PROGRAM,
        usage=f"{PROGRAM} COMMAND [options] ...",
        description="Start guests, run containers in them, and talk to their agents.",
        epilog=EPILOG,
    )
    parser.add_argument(
        "--version",
        action="version",
        version=_version(),
        help="print the version and exit",
    )
    subparsers = parser.add_subparsers(
        title="commands", prog=PROGRAM, metavar="COMMAND", required=True
    )
    for name in commands:
        module = importlib.import_module(f"kata_host.ctl.{name}")
        module.add_parser(subparsers)
    return parser
