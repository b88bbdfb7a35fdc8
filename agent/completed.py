# SPDX-License-Identifier: Apache-2.0
"""The result of a helper program."""

from __future__ import annotations

from typing import NamedTuple


class Completed(NamedTuple):
    """A helper program that has ended, with all that it wrote."""

    status: int
    """The exit code, 128+n after signal n."""
    stdout: bytes
    stderr: bytes
