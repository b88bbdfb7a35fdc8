# SPDX-License-Identifier: Apache-2.0
"""tests/e2e/test_run.py has real containers with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kata_host.ctl.init_program import INIT, PROGRAM, behind_init, find_init
from kata_host.ctl.program import main


def test_a_host_without_it_is_told_which_package_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    # Before a guest is started.
    assert main(["run", "--init", "--", "true"]) == 125
    error = "kata-agent-ctl: --init: tini-static: not found (package tini)\n"
    assert capsys.readouterr().err == error


def test_it_is_the_program_itself_and_no_link_to_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program"
    program.touch(mode=0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / PROGRAM).symlink_to(program)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    # A copy of a link would lead nowhere in a guest.
    assert find_init() == program


def test_words_of_the_command_are_no_options_of_the_init() -> None:
    assert behind_init(["-v", "--"]) == [INIT, "-s", "--", "-v", "--"]
