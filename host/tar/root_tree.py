# SPDX-License-Identifier: Apache-2.0
"""A root file system out of an archive of the user's own, with its owners."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ERRORS_LIMIT: Final = 4096
"""Bytes that are kept of what tar says, which may be a line for each entry."""


def make_root_directory(root: Path) -> None:
    """Make the directory for a root file system. Raises `OSError`."""
    root.mkdir(parents=True)
    # For an archive that has no entry for its top, whatever the umask is.
    root.chmod(0o755)


def unpack_command(archive: Path, root: Path) -> Sequence[str]:
    """Return the program and arguments that unpack `archive` into `root`.

    GNU tar strips leading slashes, refuses "..", and makes symbolic links after all
    files, so no member is written through a link.
    """
    command = ("tar", "--extract", "--preserve-permissions", "--numeric-owner")
    return (
        *command,
        f"--file={os.fspath(archive)}",
        f"--directory={os.fspath(root)}",
    )


def reason_of(errors: bytes) -> str:
    """Return why tar failed, from the beginning of its standard error."""
    lines = errors.decode(errors="replace").strip().splitlines()
    return lines[0] if lines else "tar failed"
