# SPDX-License-Identifier: Apache-2.0
"""The unit tests of the protocol core take every branch of it.

They are run once more for that, by themselves, because branches that only the
conformance suite takes do not count.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
TESTS: Final = ROOT / "tests" / "ttrpc"


@pytest.mark.timeout(300)
def test_every_branch_of_the_core_is_tested(tmp_path: Path) -> None:
    result = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-m", "not slow"),
            *("-p", "no:cacheprovider", "--cov", "--cov-report", "term"),
            *("--cov-config", TESTS / "core.coveragerc"),
            *sorted(TESTS.glob("test_*.py")),
            TESTS / "plugin",
        ],
        cwd=ROOT,
        env={**os.environ, "COVERAGE_FILE": str(tmp_path / "coverage")},
        capture_output=True,
        text=True,
    )
    # The report is the message; a traceback of ours says nothing.
    if result.returncode != 0:
        pytest.fail(result.stdout + result.stderr, pytrace=False)
