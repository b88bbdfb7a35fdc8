# SPDX-License-Identifier: Apache-2.0
"""The keys that leave a container without ending it: Ctrl-P, then Ctrl-Q."""

from __future__ import annotations

from typing import Final

SEQUENCE: Final = b"\x10\x11"


class DetachKeys:
    """Looks for the keys in what is typed. A key that may be the first is held back."""

    def __init__(self) -> None:
        self.are_complete = False
        self._held = b""

    def take(self, typed: bytes) -> bytes:
        """Return what goes to the container, up to the keys."""
        typed = self._held + typed
        before, found, _ = typed.partition(SEQUENCE)
        self.are_complete = bool(found)
        self._held = b""
        if not found and before.endswith(SEQUENCE[:1]):
            self._held, before = before[-1:], before[:-1]
        return before
