# SPDX-License-Identifier: Apache-2.0
"""Quantities of the command line, for argparse.

argparse keeps to itself what a `ValueError` says, so each raises `ArgumentTypeError`.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator

from kata_host.quantities import parse_count, parse_duration, parse_size


def count(word: str) -> int:
    """Read a number of things that are needed."""
    with _explained():
        return parse_count(word)


def size(word: str) -> int:
    """Read a number of bytes."""
    with _explained():
        return parse_size(word)


def mebibytes(word: str) -> int:
    """Read a size of at least one MiB; return MiB. A number alone is MiB."""
    with _explained():
        return parse_count(str(parse_size(word, unit="m") >> 20))


def seconds(word: str) -> float:
    """Read a duration."""
    with _explained():
        return parse_duration(word)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
