# SPDX-License-Identifier: Apache-2.0
"""The command line of `kata-trace-forwarder`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Final

from kata_agent.version import VERSION
from kata_host.forwarder.defaults import (
    GUEST_CONNECTIONS,
    MAX_FILE_SIZE,
    SOCKET_MODE,
)
from kata_host.option_types import count, size

PROGRAM: Final = "kata-trace-forwarder"
NOBODY: Final = "nobody"


def mode(text: str) -> int:
    """Read permissions in octal. Raises `ValueError`."""
    value = int(text, 8)
    if not 0 <= value <= 0o777:
        raise ValueError(f"mode {text!r}: not permissions")
    return value


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Take spans off the trace port of guests and send them to a "
        "collector (--to), to a file (--file), or to both.",
    )
    parser.add_argument(
        "--listen",
        action="append",
        required=True,
        metavar="ADDRESS",
        help="unix:///path, hvsock:///path/of/the/guest.sock:10240 (listens on "
        "/path/of/the/guest.sock_10240) or vsock://-1:10240; may be repeated",
    )
    parser.add_argument(
        "--to",
        metavar="URL",
        help="the collector: http://127.0.0.1:4318 for OTLP, :14268 for Jaeger "
        "Thrift, or unix:///path",
    )
    parser.add_argument(
        "--file",
        type=Path,
        metavar="FILE",
        help="append each batch as a line of OTLP/JSON",
    )
    parser.add_argument(
        "--max-file-size",
        type=size,
        default=MAX_FILE_SIZE,
        metavar="SIZE",
        help="refuse batches that would make FILE larger, 64m for example "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--guest-connections",
        type=count,
        default=GUEST_CONNECTIONS,
        metavar="N",
        help="most connections of one guest at a time (default: %(default)s)",
    )
    parser.add_argument(
        "--socket-mode",
        type=mode,
        default=SOCKET_MODE,
        metavar="MODE",
        help="mode of the unix sockets, in octal (default: 600)",
    )
    parser.add_argument(
        "--socket-group", metavar="GROUP", help="give the unix sockets to this group"
    )
    parser.add_argument(
        "--user",
        default=NOBODY,
        help="the user to become once the sockets are bound, if started by root "
        "(default: %(default)s)",
    )
    parser.add_argument("--debug", action="store_true", help="log more")
    parser.add_argument(
        "--version",
        action="version",
        version=f"{PROGRAM} {VERSION}",
    )
    return parser
