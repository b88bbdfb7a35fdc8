# SPDX-License-Identifier: Apache-2.0
"""The ports by which a request names the connections of a process's streams."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StreamPorts:
    """A vsock port of the host for each stream; 0 means no connection."""

    stdin: int = 0
    stdout: int = 0
    stderr: int = 0

    def __bool__(self) -> bool:
        return bool(self.stdin or self.stdout or self.stderr)
