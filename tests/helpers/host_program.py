# SPDX-License-Identifier: Apache-2.0
"""Programs of Debian packages that a test needs on this host."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def require_program(name: str, package: str) -> Path:
    """Return the path of a program; skip the test without, or fail it in CI."""
    found = shutil.which(name)
    if found is not None:
        return Path(found)
    reason = f"needs {name} of the package {package}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
