# SPDX-License-Identifier: Apache-2.0
"""How a command of kata-agent-ctl gives up."""

from __future__ import annotations


class CommandError(Exception):
    """The command failed: its message is the one line that the user sees."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status
        """The exit status of kata-agent-ctl."""
