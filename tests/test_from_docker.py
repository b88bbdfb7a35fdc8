# SPDX-License-Identifier: Apache-2.0
"""The table for users of docker: our words are parsed, and the tests are there."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest

from kata_host.ctl.program import COMMANDS, main, make_parser
from tests.helpers.docker_table import ROWS
from tests.helpers.source_tree import ROOT


def commands() -> Iterator[str]:
    """Yield our command lines, those of each row first."""
    for row in ROWS:
        for span in () if row.is_absent else row.ours:
            if span.split()[0] in COMMANDS:
                yield span


@pytest.mark.parametrize("command", [*commands()])
def test_our_words_are_parsed(command: str) -> None:
    options = make_parser().parse_args(shlex.split(command))
    assert options.main


def test_every_row_has_a_test_or_is_absent() -> None:
    assert ROWS
    for row in ROWS:
        assert row.is_absent == (not row.tests)
        assert row.others
        for path in row.tests:
            assert (ROOT / path).is_file()


def test_what_is_absent_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    absent = [words for row in ROWS if row.is_absent for words in row.docker]
    assert absent
    for word in absent:
        words = word.split()
        if words[0].startswith("-"):
            words = ["run", words[0]]
        arguments = [*words, "--", "true"] if words[0] == "run" else words
        assert main(arguments) in (2, 125), arguments
    capsys.readouterr()


def test_every_verb_for_containers_is_in_the_table() -> None:
    shown = {command.split()[0] for command in commands()}
    own = {"guest", "shell", "trace"}
    assert set(COMMANDS) - own == shown
