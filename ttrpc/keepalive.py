# SPDX-License-Identifier: Apache-2.0
"""Finds out that a server has died without a word.

The protocol has no ping. The probe is a call of a service that no server has: Go's
server answers UNIMPLEMENTED, ttrpc-rust's INVALID_ARGUMENT or NOT_FOUND, and any answer
will do.

A client checks three times in the time that it has: where nothing was received since
the check before, it probes, and if nothing was received by the check after that, the
server is dead. So a server that has fallen silent is noticed within that time, and has
a third of it to answer a probe.
"""

from __future__ import annotations

import enum
from typing import Final

from ttrpc.envelope_pb2 import Request, Response
from ttrpc.service import Cardinality, Method

CHECKS: Final = 3
"""Checks within the time of a keepalive."""
LATE: Final = 1.25
"""A check that comes after so many times its interval tells nothing of the server: this
side was stopped meanwhile, and perhaps the server with it."""
PROBE: Final = Method(
    "Probe", "ttrpc.Keepalive", Cardinality.UNARY_UNARY, Request, Response
)
"""Has no messages of its own: none is ever read."""


NO_ANSWER: Final = "the server does not answer"
"""The cause of the end of a connection whose server is dead."""


class Step(enum.Enum):
    """What to do after a check."""

    WAIT = enum.auto()
    PROBE = enum.auto()
    GIVE_UP = enum.auto()


class Keepalive:
    """Watches one connection; the I/O layer calls `check` at each `interval`."""

    __slots__ = ("_is_probing", "_last_check", "_received", "interval")

    def __init__(self, seconds: float, *, now: float) -> None:
        """Notice a dead server within `seconds`."""
        self.interval = seconds / CHECKS
        """Seconds between two checks."""
        self._last_check = now
        self._received = 0
        self._is_probing = False

    def check(self, received: int, *, now: float) -> Step:
        """Take the bytes that were received so far, and the time."""
        is_late = now - self._last_check > LATE * self.interval
        self._last_check = now
        if received != self._received:
            self._received = received
            self._is_probing = False
            return Step.WAIT
        if not self._is_probing:
            self._is_probing = True
            return Step.PROBE
        return Step.WAIT if is_late else Step.GIVE_UP
