# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.ctl.command_parser import CommandParser, port
from kata_host.ctl.errors import UsageError


def test_wrong_usage_is_one_line_that_names_the_command() -> None:
    parser = CommandParser(prog="ctl run")
    with pytest.raises(UsageError) as error:
        parser.parse_args(["--no-such-option"])
    assert str(error.value) == (
        "run: unrecognized arguments: --no-such-option (see ctl run --help)"
    )


def test_options_are_not_abbreviated() -> None:
    parser = CommandParser(prog="ctl")
    parser.add_argument("--follow", action="store_true")
    with pytest.raises(UsageError):
        parser.parse_args(["--fol"])


def test_help_wraps_paragraphs_and_keeps_an_example(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    parser = CommandParser(
        prog="ctl", description="word " * 20, epilog="Example:\n\n  one\n  two"
    )
    parser.add_argument("-e", "--env", metavar="NAME", help="set a variable")
    text = parser.format_help()
    assert all(len(line) <= 60 for line in text.splitlines())
    assert "\nExample:\n\n  one\n  two\n" in text
    assert "  -e, --env NAME  set a variable\n" in text


def test_a_port_has_32_bits() -> None:
    assert port("4294967295") == 2**32 - 1
    for text in ("-1", "4294967296", "x"):
        with pytest.raises(ValueError, match=r"port|literal"):
            port(text)


def test_help_splits_no_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    parser = CommandParser(prog="ctl", description="it is in /run/kata-containers/here")
    parser.add_argument("--dir", help="a directory, such as /run/kata-containers")
    text = parser.format_help()
    assert "/run/kata-containers/here\n" in text
    assert text.endswith(" /run/kata-containers\n")
