# SPDX-License-Identifier: Apache-2.0
"""`python -m ttrpc`: make a call; print a captured session, record one, play one."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from ttrpc.calling.command import add_parser
from ttrpc.dump import describe, read_capture
from ttrpc.errors import sanitize
from ttrpc.recording.command import add_parsers

EPILOG = """\
To capture one connection to a server on a unix socket:

    socat -x UNIX-LISTEN:/tmp/via.sock UNIX-CONNECT:/run/echo.sock 2>session.txt

and let the client connect to /tmp/via.sock.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; return the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="python -m ttrpc")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    dump = commands.add_parser(
        "dump",
        help="print a captured session",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    dump.add_argument(
        "file",
        metavar="FILE",
        help="stderr of `socat -x`, lines of hexadecimal after > or <, or the raw "
        "bytes of one direction; - is standard input",
    )
    dump.set_defaults(main=_dump)
    add_parsers(commands)
    add_parser(commands)
    options = parser.parse_args(arguments)
    status: int = options.main(options)
    return status


def _dump(options: argparse.Namespace) -> int:
    file = options.file
    try:
        capture = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        for line in describe(read_capture(capture)):
            print(line)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has gone: let the flush at exit go nowhere, so that it cannot fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else str(exc)
        print(f"{sanitize(file)}: {reason}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
