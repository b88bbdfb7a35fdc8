# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import argparse
import os
import pty
import struct
import termios
from collections.abc import Iterator
from fcntl import ioctl

import pytest

from kata_host.ctl import arguments as module
from kata_host.ctl.arguments import (
    add_command_argument,
    add_connect_timeout,
    add_guest_argument,
    add_guest_option,
    add_process_arguments,
    check_process,
    environment_of,
    requested_process,
)
from kata_host.ctl.command_parser import CommandParser
from kata_host.ctl.errors import UsageError


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
def test_every_word_after_the_command_is_the_commands(
    arguments: tuple[str, ...],
) -> None:
    options = parse(*arguments)
    assert options.command == ["ls", "-t", "--", "--cwd", "x"]
    assert options.interactive
    assert not options.tty
    assert options.cwd == "/"


@pytest.mark.parametrize("arguments", [(), ("--",), ("-i", "-t")])
def test_a_command_is_needed(arguments: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="no command"):
        parse(*arguments)


def test_a_relative_working_directory_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="--cwd 'x': not an absolute path"):
        parse("--cwd", "x", "ls")


def test_variables_are_given_or_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "h")
    monkeypatch.delenv("NOT_HERE", raising=False)
    given = ["A=b=c", "EMPTY=", "HERE", "NOT_HERE", "A=last"]
    assert environment_of(given) == {"A": "last", "EMPTY": "", "HERE": "h"}


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
    assert (options.guest, options.connect_timeout) == ("one", 5.0)


@pytest.fixture
def terminal() -> Iterator[int]:
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    yield theirs
    os.close(ours)
    os.close(theirs)


def test_a_process_on_a_terminal_has_the_size_of_ours(
    terminal: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STDIN", terminal)
    process = requested_process(parse("-t", "-e", "A=b", "--cwd", "/tmp", "ls", "-l"))
    assert (process.ConsoleSize.Height, process.ConsoleSize.Width) == (30, 100)
    assert process.Terminal
    assert "A=b" in process.Env
    assert (list(process.Args), process.Cwd) == (["ls", "-l"], "/tmp")
    assert not requested_process(parse("ls")).HasField("ConsoleSize")
