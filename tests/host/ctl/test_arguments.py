# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from kata_host.ctl.arguments import (
    add_command_argument,
    add_connect_timeout,
    add_container_argument,
    add_guest_argument,
    add_guest_option,
    add_process_arguments,
    check_process,
    environment_of,
    requested_user,
)
from kata_host.ctl.command_parser import CommandParser
from kata_host.ctl.errors import UsageError


def parse(*arguments: str) -> argparse.Namespace:
    parser = CommandParser(prog="ctl")
    add_process_arguments(parser, defaults="/")
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
def test_every_word_after_the_command_is_the_commands(
    arguments: tuple[str, ...],
) -> None:
    options = parse(*arguments)
    assert options.command == ["ls", "-t", "--", "--cwd", "x"]
    assert options.interactive
    assert not options.tty
    assert options.cwd == ""


@pytest.mark.parametrize("arguments", [(), ("--",), ("-i", "-t")])
def test_a_command_is_needed(arguments: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="no command"):
        parse(*arguments)


def test_a_relative_working_directory_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="--workdir 'x': not an absolute path"):
        parse("--cwd", "x", "ls")


def test_variables_are_given_or_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "h")
    monkeypatch.delenv("NOT_HERE", raising=False)
    given = ["A=b=c", "EMPTY=", "HERE", "NOT_HERE", "A=last"]
    assert environment_of(given, []) == {"A": "last", "EMPTY": "", "HERE": "h"}


def test_a_variable_without_a_name_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="'=x': no name"):
        parse("-e", "=x", "ls")


@pytest.mark.parametrize("words", [["--guest", "one"], ["--address=one"], ["one"]])
def test_a_guest_is_an_option_or_the_object_of_the_command(words: list[str]) -> None:
    parser = CommandParser(prog="ctl")
    if words == ["one"]:
        add_guest_argument(parser)
    else:
        add_guest_option(parser, required=True)
    add_connect_timeout(parser)
    options = parser.parse_args(words)
    assert (options.guest, options.connect_timeout) == ("one", None)


def test_a_container_and_where_to_look_for_it() -> None:
    parser = CommandParser(prog="ctl")
    add_container_argument(parser)
    assert parser.parse_args(["c1"]).container == "c1"
    several = CommandParser(prog="ctl")
    add_container_argument(several, nargs="+")
    words = ["--guest", "one", "--connect-timeout=2s", "c1", "c2"]
    options = several.parse_args(words)
    assert options.containers == ["c1", "c2"]
    assert (options.guest, options.connect_timeout) == ("one", 2.0)


def test_variables_of_a_file_are_overridden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERE", "h")
    file = tmp_path / "env"
    file.write_text("# comment\n\nA=1\n  B=two words \nHERE\nNOT_HERE_\n")
    options = parse("--env-file", str(file), "-e", "A=2", "ls")
    assert options.environment == {"A": "2", "B": "two words ", "HERE": "h"}


@pytest.mark.parametrize(
    ("content", "reason"), [(b"=x\n", "no name"), (b"A=\xff\n", "not UTF-8")]
)
def test_a_wrong_file_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "env").write_bytes(content)
    with pytest.raises(UsageError, match=f"--env-file .*{reason}"):
        parse("--env-file", str(tmp_path / "env"), "ls")
    with pytest.raises(UsageError, match="none: No such file"):
        parse("--env-file", str(tmp_path / "none"), "ls")


def test_a_user_is_named_with_the_option() -> None:
    user = requested_user(parse("-u", "nobody:tty", "ls"))
    assert user is not None
    assert (user.uid, user.gid) == ("nobody", "tty")
    assert requested_user(parse("ls")) is None
    with pytest.raises(UsageError, match="--user: user ':'"):
        requested_user(parse("-u", ":", "ls"))
