# SPDX-License-Identifier: Apache-2.0
"""The standard files that a process of a container begins with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StandardFiles:
    """Three descriptors, or a terminal.

    A descriptor of None is `/dev/null`. With `console` the runtime makes a terminal
    and sends its master to the unix socket of that path.
    """

    stdin: int | None = None
    stdout: int | None = None
    stderr: int | None = None
    console: Path | None = None
