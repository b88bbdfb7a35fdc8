# SPDX-License-Identifier: Apache-2.0
"""The programs of a page, written to a folder, and its commands, run there."""

from __future__ import annotations

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
            (folder / name[1]).write_text(text)


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
        ["bash", "-c", "\n".join(commands)],
        cwd=folder,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert not result.stderr
    printed = result.stdout.splitlines()
    if not matches(shown, printed):
        assert printed == shown


def matches(shown: list[str], printed: list[str]) -> bool:
    """Tell whether lines are those that a page shows, which may have an ANYTHING."""
    return len(shown) == len(printed) and all(
        re.fullmatch(re.escape(line).replace(re.escape(ANYTHING), ".*"), other)
        for line, other in zip(shown, printed, strict=True)
    )
