# SPDX-License-Identifier: Apache-2.0
"""The name that a copy of a file has, unless it is given another."""

from __future__ import annotations

from pathlib import Path

from kata_host.ctl.errors import CommandError
from kata_host.explain import explain


def own_name(source: Path) -> str:
    """Return the last part of the path that is meant, also by `.` and `..`.

    A symbolic link has a name of its own. The name of the root directory is empty.
    Raises `CommandError`.
    """
    if source.name not in ("", ".."):
        return source.name
    try:
        return source.resolve().name
    except (OSError, RuntimeError) as error:
        raise CommandError(f"{source}: {explain(error)}") from error
