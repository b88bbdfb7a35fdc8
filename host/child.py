# SPDX-License-Identifier: Apache-2.0
"""How the host's programs start Python programs of their own.

A child never imports from the current directory (`-P`): the user's folder may hold a
`kata_host/` or a `json.py`, and the child may run as root.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

PACKAGES: Final = Path(__file__).parents[1]
"""The directory of our packages: site-packages, or `src/` of a clone. It is not
resolved, because in a clone the import names are links in `src/`."""


def module_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs `module` as a program."""
    return [sys.executable, "-P", "-m", module, *arguments]


def child_environment() -> dict[str, str]:
    """Return the caller's environment, in which children find our packages."""
    return {**os.environ, "PYTHONPATH": os.fspath(PACKAGES)}
