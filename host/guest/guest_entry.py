# SPDX-License-Identifier: Apache-2.0
"""A guest as the registry knows it: see `registry.py`."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from kata_host.network import Network


class GuestState(enum.Enum):
    """The state of a guest, read from its entry and the entry's lock together."""

    STARTING = "starting"
    RUNNING = "running"
    ENDED = "ended"
    LOST = "lost"
    """The holder was killed before it could write how the guest ended."""

    @property
    def is_held(self) -> bool:
        """Whether a holder process has the guest."""
        return self in (GuestState.STARTING, GuestState.RUNNING)


@dataclass(frozen=True, slots=True)
class GuestEntry:
    """One guest of the registry."""

    name: str
    kind: str
    """`local` or `vm`."""
    address: str = ""
    """The agent's address, empty until the guest runs and after it has ended."""
    pid: int = 0
    """The pid of the holder."""
    started: float = 0
    """Seconds since the epoch."""
    network: Network = "none"
    ending: str = ""
    """One line that says how the guest ended, empty unless it ended by itself."""
