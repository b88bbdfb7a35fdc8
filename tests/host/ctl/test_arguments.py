# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse

import pytest

from kata_host.ctl.arguments import (
    FAILED,
    CommandParser,
    add_command_argument,
    add_process_arguments,
    check_process,
    environment_of,
)
from kata_host.ctl.errors import CommandError


def parse(*arguments: str) -> argparse.Namespace:
    parser = CommandParser(prog="ctl")
    add_process_arguments(parser)
    add_command_argument(parser)
    options = parser.parse_args(arguments)
    check_process(options)
    return options


@pytest.mark.parametrize(
    "arguments",
    [
        ("-i", "--", "ls", "-t", "--", "--cwd", "x"),
        ("-i", "ls", "-t", "--", "--cwd", "x"),
    ],
)
def test_all_after_the_command_is_the_commands(arguments: tuple[str, ...]) -> None:
    options = parse(*arguments)
    assert options.command == ["ls", "-t", "--", "--cwd", "x"]
    assert options.interactive
    assert not options.tty
    assert options.cwd == "/"


@pytest.mark.parametrize("arguments", [(), ("--",), ("-i", "-t")])
def test_a_command_is_needed(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match="no command") as error:
        parse(*arguments)
    assert error.value.status == FAILED


def test_wrong_usage_ends_with_dockers_status(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse("--no-such-option", "ls")
    assert ended.value.code == FAILED
    assert "--no-such-option" in capsys.readouterr().err


def test_variables_are_given_or_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "h")
    monkeypatch.delenv("NOT_HERE", raising=False)
    given = ["A=b=c", "EMPTY=", "HERE", "NOT_HERE", "A=last"]
    assert environment_of(given) == {"A": "last", "EMPTY": "", "HERE": "h"}


def test_a_variable_needs_a_name() -> None:
    with pytest.raises(CommandError, match="'=x': no name"):
        environment_of(["=x"])
