# SPDX-License-Identifier: Apache-2.0
"""Which parts run, and where they go."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench.document import README
from bench.ttrpc import __main__ as program
from bench.ttrpc.cells import Measure
from bench.ttrpc.peers import environment
from kata_host.child import module_command


def test_parts_are_chosen_by_name() -> None:
    assert program.is_chosen("pairs", ["pairs"])
    assert program.is_chosen("pairs", [])
    assert not program.is_chosen("pairs", ["shares"])


def test_every_section_is_in_the_document() -> None:
    text = README.read_text()
    for section in program.SECTIONS:
        assert text.count(f"<!-- {section}:") == text.count(f"<!-- /{section} -->") == 1


def test_a_part_without_go_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def part(directory: Path, measure: Measure) -> str:
        """What it measures."""
        return "measured"

    wrapped = program.with_go(part)
    monkeypatch.setattr(program, "missing", lambda name: "go is not installed")
    text = wrapped(tmp_path, lambda cells, load, sides: [])
    assert text == "Left out, because go is not installed: What it measures."
    monkeypatch.setattr(program, "missing", lambda name: None)
    assert wrapped(tmp_path, lambda cells, load, sides: []) == "measured"


def test_an_unknown_part_is_refused_by_name() -> None:
    done = subprocess.run(
        module_command("bench.ttrpc", "sharse"),
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "part 'sharse': none of server, client" in done.stderr
