# SPDX-License-Identifier: Apache-2.0
"""Fuzz what comes off a socket: frames, requests and answers.

    python -m fuzz.frames [-max_total_time=60] [libFuzzer's options] [DIRECTORY]

Starts from `fuzz/corpus`. What it finds is kept in DIRECTORY, or thrown away; to
add the best of it to the corpus:

    python -m fuzz.frames -merge=1 fuzz/corpus DIRECTORY

The first byte of an input says who gets the rest: a server, a client, or the
decoder of requests; the second, into pieces of how many bytes it is cut.
"""

from __future__ import annotations

import itertools
import logging
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import atheris

with atheris.instrument_imports(include=["ttrpc"]):
    from fuzz.replay import check_request, receive, serve

CORPUS: Final = Path(__file__).parent / "corpus"


def check_server(data: bytes, piece: int) -> None:
    assert serve(data, itertools.repeat(piece)) == serve(data, whole(data))


def check_client(data: bytes, piece: int) -> None:
    assert receive(data, itertools.repeat(piece)) == receive(data, whole(data))


def whole(data: bytes) -> itertools.repeat[int]:
    return itertools.repeat(len(data))


TARGETS: Final[tuple[Callable[[bytes, int], None], ...]] = (
    check_server,
    check_client,
    lambda data, _: check_request(data),
)


def test_one_input(data: bytes) -> None:
    if len(data) > 2:
        TARGETS[data[0] % len(TARGETS)](data[2:], data[1] + 1)


def main() -> None:
    logging.disable()
    arguments = sys.argv[1:]
    directories = [text for text in arguments if not text.startswith("-")]
    with tempfile.TemporaryDirectory() as scratch:
        if not any(text.startswith("-merge=1") for text in arguments):
            arguments += [] if directories else [scratch]
            arguments.append(str(CORPUS))
        atheris.Setup([sys.argv[0], *arguments], test_one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
