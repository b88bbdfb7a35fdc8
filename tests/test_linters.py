# SPDX-License-Identifier: Apache-2.0
"""The linters are tests like any other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
LINTERS: Final = {
    "format": ["ruff", "format", "--check", "."],
    "lint": ["ruff", "check", "."],
    "types": ["mypy"],
}


@pytest.mark.parametrize("linter", LINTERS)
@pytest.mark.timeout(300)
def test_linter_finds_nothing(linter: str) -> None:
    program, *arguments = LINTERS[linter]
    result = subprocess.run(
        [Path(sys.executable).parent / program, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    # The linter's own report is the message; a traceback of ours says nothing.
    if result.returncode != 0:
        pytest.fail(result.stdout + result.stderr, pytrace=False)
