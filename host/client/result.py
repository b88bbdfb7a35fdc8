# SPDX-License-Identifier: Apache-2.0
"""The outcome of a command in a guest."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """The exit status and the whole output of a command that has ended."""

    status: int
    """The command's exit status, or 128+n if signal n ended the command."""
    stdout: bytes
    stderr: bytes
