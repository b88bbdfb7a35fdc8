# SPDX-License-Identifier: Apache-2.0
"""Where this user's images are kept: the directories of the XDG specification.

A user without a home directory, such as Debian's `nobody`, has one in /var/tmp.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

HOMELESS: Final = Path("/var/tmp")
"""Everybody may write there, and a reboot removes nothing."""


def user_directory(variable: str, below_home: str) -> Path:
    """Return `kata-agent` in the directory of `variable`, by default below the home.

    Raises `OSError` if a user without a home has no directory of that user alone.
    """
    base = os.environ.get(variable, "")
    # A relative path is invalid and ignored (XDG Base Directory Specification).
    if os.path.isabs(base):
        return Path(base, "kata-agent")
    home = Path(os.path.expanduser("~"))
    if home.is_dir():
        return home / below_home / "kata-agent"
    return _own(HOMELESS / f"kata-agent-{os.geteuid()}")


def _own(directory: Path) -> Path:
    """Make a directory of this user alone where others may have made one before."""
    directory.mkdir(mode=0o700, exist_ok=True)
    status = directory.lstat()
    is_own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    if not is_own or status.st_mode & 0o022:
        raise PermissionError(f"{directory}: not a directory of this user alone")
    return directory
