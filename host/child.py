# SPDX-License-Identifier: Apache-2.0
"""The command and environment of Python programs that the host's programs start.

A child never imports from the current directory (`-P`), because that may hold a
`kata_host/` or a `json.py` of the user's, and the child may run as root.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

PACKAGES: Final = Path(__file__).parents[1]
"""The directory of our packages: site-packages, or `src/` of a clone. The path is not
resolved, because in a clone the import names are links in `src/`."""


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs `module` as a program."""
    return [sys.executable, "-P", "-m", module, *arguments]


def child_environment() -> dict[str, str]:
    """Return the caller's environment, in which children find our packages."""
    return {**os.environ, "PYTHONPATH": os.fspath(PACKAGES)}
