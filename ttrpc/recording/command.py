# SPDX-License-Identifier: Apache-2.0
"""`python -m ttrpc tap` and `python -m ttrpc replay`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TextIO

from ttrpc.address import HybridVsockAddress, parse_address
from ttrpc.errors import TtrpcError, sanitize
from ttrpc.recording.api import Api, installed_apis, load_api, read_descriptors
from ttrpc.recording.comparison import Difference
from ttrpc.recording.entry import VERSION, read_entries
from ttrpc.recording.replay import Pace, Replay
from ttrpc.recording.tap import Tap

DIFFERENT: Final = 1
"""The exit status when answers differ in a way that matters."""
FAILED: Final = 2
"""The exit status when the command could not do its work."""


def tap(options: argparse.Namespace) -> int:
    """Record until SIGINT or SIGTERM; return the exit status."""
    try:
        apis = _apis(options)
        listen, target = parse_address(options.listen), parse_address(options.target)
        file = _create(options.file)
    except (OSError, ValueError) as exc:
        return _failed("tap", exc)
    port = listen.port if isinstance(listen, HybridVsockAddress) else None
    lines = _Lines(file)
    lines.write({"recording": VERSION, "redacted": not options.keep_data})
    tap = Tap(target, apis, lines.write, redacts=not options.keep_data, port=port)

    async def run() -> None:
        ended = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, ended.set)
        await tap.start(listen)
        known = ", ".join(api.name for api in apis) or "none"
        print(f"tap: listening on {listen}; known APIs: {known}", file=sys.stderr)
        try:
            await ended.wait()
        finally:
            await tap.close()

    try:
        asyncio.run(run())
    except (OSError, ValueError) as exc:
        return _failed("tap", exc)
    finally:
        if file is not sys.stdout:
            file.close()
    return 0 if lines.failure is None else _failed("tap", lines.failure)


def replay(options: argparse.Namespace) -> int:
    """Play a session; return the exit status."""

    def report(difference: Difference) -> None:
        if difference.matters or options.all:
            print(difference, flush=True)

    try:
        apis = _apis(options)
        if options.file == "-":
            entries = list(read_entries(sys.stdin))
        else:
            with open(options.file, encoding="utf-8") as lines:
                entries = list(read_entries(lines))
        if not entries:
            raise ValueError(f"{options.file}: no calls")
        replay = Replay(
            entries,
            options.address,
            apis,
            pace=Pace(options.gap, options.patience),
            as_sent=options.as_sent,
            report=report,
        )
        asyncio.run(replay.run())
    except (OSError, ValueError, TtrpcError) as exc:
        return _failed("replay", exc)
    tally = replay.tally
    print(
        f"{tally.played} calls played, {tally.differences} differences that matter; "
        f"{tally.unrecorded} without a recorded answer, {tally.left_out} left out"
    )
    return DIFFERENT if tally.differences else 0


class _Lines:
    """Writes lines to a file; after a failure it writes no more."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self.failure: OSError | None = None

    def write(self, fields: Mapping[str, Any]) -> None:
        if self.failure is not None:
            return
        try:
            self._file.write(json.dumps(fields) + "\n")
            self._file.flush()
        except OSError as exc:
            # The client and the server must not notice that the record is lost.
            self.failure = exc
            _failed("tap", exc)


def _create(path: str) -> TextIO:
    """Open the record for its owner only: it may hold secrets."""
    if path == "-":
        return sys.stdout
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    return open(os.open(path, flags, 0o600), "w", encoding="utf-8")


def _apis(options: argparse.Namespace) -> Sequence[Api]:
    """Return the APIs that are named, or else all that are installed."""
    named = [read_descriptors(Path(path)) for path in options.descriptors]
    named += [load_api(reference) for reference in options.api]
    return named or installed_apis()


def _failed(command: str, exc: Exception) -> int:
    print(f"{command}: {sanitize(str(exc))}", file=sys.stderr)
    return FAILED


def add_parsers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add both commands to a parser."""
    parser = commands.add_parser(
        "tap",
        help="record the calls between a client and a server",
        epilog="An address is unix://PATH, vsock://CID:PORT or hvsock://PATH:PORT. "
        "On hvsock, and on unix if the client asks, the tap answers CONNECT as a VMM "
        "does.",
    )
    parser.add_argument("listen", metavar="LISTEN", help="the address for the client")
    parser.add_argument("target", metavar="TARGET", help="the address of the server")
    parser.add_argument("file", metavar="FILE", help="the record; - for the output")
    parser.add_argument(
        "--keep-data",
        action="store_true",
        help="record secrets too (default: an API says which fields are replaced)",
    )
    _add_api_options(parser)
    parser.set_defaults(main=tap)

    parser = commands.add_parser(
        "replay",
        help="play a recorded session against a server and compare the answers",
        epilog="The exit status is 0 when no difference matters to a client, 1 when "
        "one does, and 2 when the session could not be played.",
    )
    parser.add_argument("file", metavar="SESSION", help="a record of `tap`")
    parser.add_argument("address", metavar="ADDRESS", help="the server's address")
    parser.add_argument(
        "--all",
        action="store_true",
        help="print the differences that no client reads, too",
    )
    parser.add_argument(
        "--as-sent",
        action="store_true",
        help="send every call as recorded, and prepare nothing for it",
    )
    parser.add_argument(
        "--gap",
        type=float,
        default=0.5,
        metavar="SECONDS",
        help="keep the time between two calls up to this (default: %(default)s)",
    )
    parser.add_argument(
        "--patience",
        type=float,
        default=30.0,
        metavar="SECONDS",
        help="wait so long for an answer that was recorded (default: %(default)s)",
    )
    _add_api_options(parser)
    parser.set_defaults(main=replay)


def _add_api_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--api",
        action="append",
        default=[],
        metavar="MODULE:NAME",
        help="use this API in place of all that are installed",
    )
    parser.add_argument(
        "--descriptors",
        action="append",
        default=[],
        metavar="FILE",
        help="use the API in a descriptor set, as `protoc --include_imports "
        "--descriptor_set_out FILE` writes it",
    )
