# SPDX-License-Identifier: Apache-2.0
"""What the bytes between a shell's session and its peer mean."""

from __future__ import annotations

from typing import Protocol


class Wire(Protocol):
    """One connection's bytes, both ways."""

    def received(self, data: bytes) -> bytes:
        """Return the keys in what the peer has sent. Raises `ValueError`."""

    @property
    def size(self) -> tuple[int, int] | None:
        """The rows and columns that the peer has asked for last; None for none."""

    def output(self, data: bytes) -> bytes:
        """Return the shell's output as it is sent."""

    def ended(self, status: int) -> bytes:
        """Return what tells that the shell has ended, with its exit status."""
