# SPDX-License-Identifier: Apache-2.0
"""Counts calls; `Counters` and `ClientCounters` are how users see them."""

from __future__ import annotations

from ttrpc.codes import Code


class CallCounts:
    """The calls of a server or a client, and how they ended; each ends once."""

    __slots__ = ("failed", "refused", "refused_frames", "started", "succeeded")

    def __init__(self) -> None:
        self.started = 0
        """On a server, requests with an id that a client may use."""
        self.succeeded = 0
        """Calls that ended with OK."""
        self.failed: dict[Code | int, int] = {}
        """Calls that ended with another status, by its code."""
        self.refused = 0
        """On a server, those of `failed` that reached no handler: unknown, over a
        limit, late."""
        self.refused_frames = 0
        """On a server, frames of no call, which were answered with an error."""

    def count_failure(self, code: Code | int) -> None:
        """Count a call that ended with a status other than OK."""
        self.failed[code] = self.failed.get(code, 0) + 1

    def count(self, code: Code | int) -> None:
        """Count a call that ended with any status."""
        if code == Code.OK:
            self.succeeded += 1
        else:
            self.count_failure(code)

    def ended(self) -> dict[Code | int, int]:
        """Return the calls that have ended, by the code of their status."""
        return {Code.OK: self.succeeded, **self.failed}
