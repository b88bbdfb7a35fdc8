# SPDX-License-Identifier: Apache-2.0
"""Why an agent has not started a program, told from what it says.

The API has no code for the two cases that every shell tells apart.
"""

from __future__ import annotations

import enum
import re
from typing import Final

_FAILED: Final = re.compile(r": (?:create|exec) failed: ")
"""How the agent begins what crun and runc say."""
_NOT_FOUND: Final = re.compile(r"the file .* was not found \(|.*exec: \"\": ")
_NOT_EXECUTABLE: Final = re.compile(r"open executable: |.*exec: \"[^\"]*\": ")


class StartFailure(enum.Enum):
    """The fault of a program that was to be started."""

    NOT_FOUND = enum.auto()
    NOT_EXECUTABLE = enum.auto()


def start_failure(message: str) -> StartFailure | None:
    """Return the fault that an agent's error tells, None for any other error."""
    # Only the first beginning is looked at: a guest could send thousands of them, and
    # have the host search to the end of the message from each.
    failed = _FAILED.search(message)
    if failed is None:
        return None
    if _NOT_FOUND.match(message, failed.end()):
        return StartFailure.NOT_FOUND
    if _NOT_EXECUTABLE.match(message, failed.end()):
        return StartFailure.NOT_EXECUTABLE
    return None
