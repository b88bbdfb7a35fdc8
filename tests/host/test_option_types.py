# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse

import pytest

from kata_host.ctl.command_parser import CommandParser
from kata_host.ctl.errors import UsageError
from kata_host.option_types import count, mebibytes, seconds, size


def make_parser() -> argparse.ArgumentParser:
    parser = CommandParser(prog="ctl")
    parser.add_argument("--after", type=seconds)
    parser.add_argument("--number", type=count)
    parser.add_argument("--bytes", type=size)
    parser.add_argument("--memory", type=mebibytes)
    return parser


def test_quantities_are_read() -> None:
    words = ["--after=1m30s", "--number=3", "--bytes=64k", "--memory=2g"]
    options = make_parser().parse_args(words)
    assert (options.after, options.number) == (90, 3)
    assert (options.bytes, options.memory) == (64 << 10, 2048)
    assert make_parser().parse_args(["--memory=512"]).memory == 512


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("--after=5x", "duration '5x': not a time, such as 2s, 500ms or 1m30s"),
        ("--after=-1", "duration '-1': not a time, such as 2s, 500ms or 1m30s"),
        ("--number=0", "number '0': not a whole number of 1 or more"),
        ("--bytes=1x", "size '1x': not a number of bytes, such as 4096, 512m or 2g"),
        ("--memory=64k", "number '0': not a whole number of 1 or more"),
    ],
)
def test_a_wrong_quantity_is_explained(word: str, reason: str) -> None:
    with pytest.raises(UsageError) as error:
        make_parser().parse_args([word])
    option = word.partition("=")[0]
    assert str(error.value) == f"argument {option}: {reason} (see ctl --help)"
