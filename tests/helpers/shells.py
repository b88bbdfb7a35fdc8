# SPDX-License-Identifier: Apache-2.0
"""Shells at which a person presses TAB: bash and zsh on a terminal, and fish."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.helpers.pseudo_terminal import PseudoTerminal

SHELLS: Final = ("bash", "zsh", "fish")


def require_programs(*programs: str) -> None:
    """Skip the test without these programs; with CI=true, fail it."""
    if missing := [each for each in programs if shutil.which(each) is None]:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"needs {missing}")


def bash_offers(line: str, share: Path, variables: Mapping[str, str]) -> set[str]:
    """Return the words that bash offers at the end of a line."""
    script = share / "bash-completion/completions" / line.split()[0]
    return _press_tab(
        ["bash", "--noprofile", "--norc", "-i"],
        "bind 'set page-completions off'; bind 'set enable-bracketed-paste off'; "
        f"bind '\"\\C-o\": possible-completions'; source {script}",
        line,
        variables,
    )


def zsh_offers(line: str, share: Path, variables: Mapping[str, str]) -> set[str]:
    """Return the words that zsh offers at the end of a line."""
    return _press_tab(
        ["zsh", "-f", "-i"],
        f"fpath=({share}/zsh/site-functions $fpath); unset zle_bracketed_paste; "
        "autoload -Uz compinit; compinit -D; LISTMAX=0; bindkey '^O' list-choices",
        line,
        variables,
    )


def fish_offers(line: str, share: Path, variables: Mapping[str, str]) -> set[str]:
    """Return the words that fish offers at the end of a line."""
    script = share / "fish/vendor_completions.d" / f"{line.split()[0]}.fish"
    ask = "source $argv[1]; complete -C $argv[2]"
    done = subprocess.run(
        ["fish", "--no-config", "-c", ask, script, line],
        capture_output=True,
        text=True,
        check=True,
        env=dict(variables),
    )
    assert not done.stderr
    return {offer.split("\t")[0] for offer in done.stdout.splitlines()}


def _press_tab(
    command: list[str], setting: str, line: str, variables: Mapping[str, str]
) -> set[str]:
    """Type a line on a terminal, and the key that lists what may follow (Ctrl-O)."""
    terminal = PseudoTerminal()
    terminal.resize(400, 200)
    shell = subprocess.Popen(
        command,
        stdin=terminal.program,
        stdout=terminal.program,
        stderr=terminal.program,
        start_new_session=True,
        env={**variables, "TERM": "dumb", "PS1": "ready> ", "PS2": ""},
    )
    try:
        terminal.expect(b"ready> ")
        terminal.type(f"{setting}; PS1=now-ready'> '\n".encode())
        terminal.expect(b"now-ready> ")
        terminal.type(line.encode() + b"\x0f")
        terminal.expect(re.escape(line.encode()))
        # Both shells show the line again below the list.
        seen = terminal.expect(b"now-ready> " + re.escape(line.encode()))
        return set(re.findall(r"[^\s]+", seen.decode()))
    finally:
        os.killpg(shell.pid, signal.SIGKILL)
        shell.wait()
        terminal.close()
