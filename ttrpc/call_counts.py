# SPDX-License-Identifier: Apache-2.0
"""Counts the calls of a server; `Counters` is how its users see them."""

from __future__ import annotations

from ttrpc.codes import Code


class CallCounts:
    """Calls that were received, and how they ended; each ends once."""

    __slots__ = ("failed", "refused", "refused_frames", "started", "succeeded")

    def __init__(self) -> None:
        self.started = 0
        """Requests with an id that a client may use."""
        self.succeeded = 0
        """Calls that were answered with OK."""
        self.failed: dict[Code | int, int] = {}
        """Calls that were answered with another status, by its code. Those that the
        end of the connection left without an answer are CANCELLED."""
        self.refused = 0
        """Calls of `failed` that reached no handler: unknown, over a limit, late."""
        self.refused_frames = 0
        """Frames that belong to no call and were answered with an error."""

    def count_failure(self, code: Code | int) -> None:
        """Count a call that ended with a status other than OK."""
        self.failed[code] = self.failed.get(code, 0) + 1
