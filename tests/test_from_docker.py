# SPDX-License-Identifier: Apache-2.0
"""The table for users of docker: our words are parsed, and the tests are there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest

from kata_host.ctl.program import COMMANDS, main, make_parser
from tests.helpers.source_tree import ROOT

PAGE = (ROOT / "docs/how-to/from-docker.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| `")
]


def spans(cell: str) -> list[str]:
    return re.findall("`([^`]+)`", cell)


def commands() -> Iterator[str]:
    """Yield our command lines, those of each row first."""
    for _, ours, _ in ROWS:
        for span in spans(ours):
            if span.split()[0] in COMMANDS and span != "run -d":
                yield span


@pytest.mark.parametrize("command", [*commands()])
def test_our_words_are_parsed(command: str) -> None:
    options = make_parser().parse_args(shlex.split(command))
    assert options.main


def test_every_row_has_a_test_or_is_absent() -> None:
    assert ROWS
    for _, ours, test in ROWS:
        assert (ours == "absent") == (test == "")
        for path in spans(test):
            assert (ROOT / path).is_file()


def test_what_is_absent_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [docker for docker, ours, _ in ROWS if ours == "absent"]
    absent = [word for docker in rows for word in spans(docker)]
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
    assert set(COMMANDS) - own - {"image"} == shown
