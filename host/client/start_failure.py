# SPDX-License-Identifier: Apache-2.0
"""Why an agent has not started a program, told from what it says.

The API has no code for the two cases that every shell tells apart.
"""

from __future__ import annotations

import enum
import re
from typing import Final

_NOT_FOUND: Final = re.compile(
    r": (?:create|exec) failed: (?:the file .* was not found \(|.*exec: \"\": )"
)
_NOT_EXECUTABLE: Final = re.compile(
    r": (?:create|exec) failed: (?:open executable: |.*exec: \"[^\"]*\": )"
)
"""How the agent tells what crun and runc say."""


class StartFailure(enum.Enum):
    """The fault of a program that was to be started."""

    NOT_FOUND = enum.auto()
    NOT_EXECUTABLE = enum.auto()


def start_failure(message: str) -> StartFailure | None:
    """Return the fault that an agent's error tells, None for any other error."""
    if _NOT_FOUND.search(message):
        return StartFailure.NOT_FOUND
    if _NOT_EXECUTABLE.search(message):
        return StartFailure.NOT_EXECUTABLE
    return None
