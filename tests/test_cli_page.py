# SPDX-License-Identifier: Apache-2.0
"""docs/cli.md has every command of `kata-agent-ctl`, and every command has its help."""

from __future__ import annotations

import argparse
import importlib.util
import shlex
from collections.abc import Iterator
from types import ModuleType

import pytest

from kata_host.ctl.program import COMMANDS, PROGRAM, main, make_parser
from tests.helpers.source_tree import ROOT


def load_generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("cli", ROOT / "docs/tools/cli.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


GENERATOR = load_generator()
PARSERS: dict[str, argparse.ArgumentParser] = dict(GENERATOR.commands(make_parser()))


def examples(parser: argparse.ArgumentParser) -> Iterator[list[str]]:
    """Yield the arguments of each command line that the help shows."""
    for line in (parser.epilog or "").splitlines():
        if line.startswith("  "):
            words = shlex.split(line)
            yield words[words.index(PROGRAM) + 1 :]


def test_the_page_is_made_from_the_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    shown = (ROOT / "docs" / "cli.md").read_text()
    assert shown == GENERATOR.page(), "run `make docs-cli`"


def test_every_command_is_on_the_page() -> None:
    lines = (ROOT / "docs" / "cli.md").read_text().splitlines()
    for name in (*COMMANDS, "guest start", "guest list", "guest stop"):
        assert f"## {name}" in lines


@pytest.mark.parametrize("name", PARSERS)
def test_every_command_describes_itself_and_its_options(name: str) -> None:
    parser = PARSERS[name]
    assert parser.description is not None
    assert parser.description.endswith(".")
    for action in parser._actions:
        if not isinstance(action, argparse._SubParsersAction):
            assert action.help, action


@pytest.mark.parametrize("name", PARSERS)
def test_every_example_can_be_parsed(name: str) -> None:
    shown = list(examples(PARSERS[name]))
    assert shown
    for arguments in shown:
        assert shlex.join(arguments).startswith(name)
        make_parser().parse_args(arguments)


@pytest.mark.parametrize("name", [name for name in PARSERS if name])
def test_the_program_prints_the_same_help(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(GENERATOR.WIDTH))
    with pytest.raises(SystemExit):
        main([*name.split(), "--help"])
    assert capsys.readouterr().out.rstrip() in (ROOT / "docs" / "cli.md").read_text()
