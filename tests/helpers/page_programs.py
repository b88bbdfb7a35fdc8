# SPDX-License-Identifier: Apache-2.0
"""The programs of a page, written to a folder, and its commands, run there."""

from __future__ import annotations

import difflib
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.M | re.S)
"""A fenced block: its language and its text."""
ANYTHING: Final = "..."
"""In a line that a page shows, stands for any text, as in doctest."""
TIMEOUT: Final = 20
"""Seconds that a command may take: each starts a Python, on a busy machine."""
_FILE: Final = re.compile(r"(?:#|//) (\S+)\n")


def has_programs(page: Path) -> bool:
    """Tell whether `page` has commands to run."""
    return any(language == "console" for language, _ in BLOCK.findall(page.read_text()))


def write_files(page: Path, folder: Path) -> None:
    """Write each block whose first line is a comment with the name of a file."""
    for language, text in BLOCK.findall(page.read_text()):
        if language not in ("console", "text"):
            name = _FILE.match(text)
            assert name, f"{page}: the first line of a file says its name: {text[:60]}"
            file = folder / name[1]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_own_names(text, folder))


def check_commands(page: Path, folder: Path) -> None:
    """Run the commands of `page` in one shell; they print the lines that it shows."""
    commands: list[str] = []
    shown: list[str] = []
    for language, text in BLOCK.findall(page.read_text()):
        if language == "console":
            for line in text.splitlines():
                is_command = line.startswith("$ ")
                (commands if is_command else shown).append(line.removeprefix("$ "))
    programs = Path(sys.executable).parent
    result = subprocess.run(
        ["bash", "-c", _own_names("\n".join(commands), folder)],
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{programs}:{os.environ['PATH']}",
            # pytest, if a page runs it, is as its reader has it.
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
        timeout=TIMEOUT * len(commands),
    )
    assert not result.stderr, result.stderr
    printed = result.stdout.splitlines()
    assert matches(shown, printed), "\n".join(
        difflib.unified_diff(shown, printed, "shown", "printed", lineterm="")
    )


def _own_names(text: str, folder: Path) -> str:
    """Give the abstract sockets of a page names of this run: all runs share them."""
    return text.replace("@demo-", f"@demo-{folder.name}-{os.getpid()}-")


def matches(shown: list[str], printed: list[str]) -> bool:
    """Tell whether lines are those that a page shows, which may have an ANYTHING."""
    return len(shown) == len(printed) and all(
        re.fullmatch(re.escape(line).replace(re.escape(ANYTHING), ".*"), other)
        for line, other in zip(shown, printed, strict=True)
    )
