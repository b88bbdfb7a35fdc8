# SPDX-License-Identifier: Apache-2.0
"""Write docs/cli.md: the help of every command of `kata-agent-ctl`, from its parser.

python docs/tools/cli.py
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).parent))

from commands import commands  # after the line above

from kata_host.ctl.program import PROGRAM, make_parser

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs" / "cli.md"
WIDTH: Final = 88
"""Columns of the help on the page."""

INTRODUCTION: Final = """\
# kata-agent-ctl

Made by `docs/tools/cli.py` from `--help` of every command; a test keeps this page up to
date.

Commands name a guest in one way: by its name in `guest list`, or by the address of its
agent. `shell`, `logs` and `trace` are about the guest itself, so their argument is the
guest; for the others it is the option `--guest`, or `--address`, which is the same.

Commands name a container by its name in `ps`, by the beginning of its name, or by
GUEST/CONTAINER. With `--guest`, also by the id of one that another program started.
"""


def section(name: str, parser: argparse.ArgumentParser) -> str:
    """Return the heading and the help of one command."""
    words = [PROGRAM, *name.split(), "--help"]
    help = parser.format_help().rstrip()
    heading = f"\n## {name}\n" if name else ""
    return f"{heading}\n```console\n$ {' '.join(words)}\n{help}\n```\n"


def page() -> str:
    """Return the whole page."""
    # argparse wraps for the terminal, whose width is this variable if it is set.
    os.environ["COLUMNS"] = str(WIDTH)
    sections = (section(name, parser) for name, parser in commands(make_parser()))
    return INTRODUCTION + "".join(sections)


if __name__ == "__main__":
    PAGE.write_text(page())
