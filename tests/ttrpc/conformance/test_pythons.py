# SPDX-License-Identifier: Apache-2.0
"""ttrpc on the newer versions of Python, with what the package index has for each."""

from __future__ import annotations

import subprocess
from typing import Final

import pytest

from tests.helpers.pythons import ROOT, environment

LOOPS: Final = ("test_loops.py", "test_program_exits.py")
"""Where Python's versions differ most: loops, eager tasks, the ends of programs."""
CORE: Final = (*LOOPS, "../aio", "../sync")


@pytest.mark.slow
@pytest.mark.timeout(900)  # Fetches an interpreter, where there is none.
@pytest.mark.parametrize(
    ("version", "tests"), [("3.12", LOOPS), ("3.13", LOOPS), ("3.14", CORE)]
)
def test_the_tests_pass_on_another_python(version: str, tests: tuple[str, ...]) -> None:
    folder = ROOT / "tests/ttrpc/conformance"
    command = [environment(version), "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, "-m", "not slow", *(folder / it for it in tests)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout, done.stdout
