# SPDX-License-Identifier: Apache-2.0
"""The states of a container, and the events that lead from one to the next.

The host asks for every event but `EXIT`, which the kernel reports whenever the init
ends: also while the agent waits for the end of a freeze or a thaw. The event at the end
of an operation therefore applies to the state at that moment, by the table.
"""

from __future__ import annotations

import enum
from typing import Final


class ContainerState(enum.StrEnum):
    """Where a container is in its life; the values appear in error messages."""

    CREATING = "creating"
    """The runtime has not built it yet, or failed to."""
    CREATED = "created"
    """The init waits, its program not yet executed."""
    RUNNING = "running"
    PAUSED_CREATED = "paused before its start"
    PAUSED = "paused"
    STOPPED = "stopped"
    """The init has ended."""
    REMOVED = "removed"

    @property
    def is_paused(self) -> bool:
        return self in (ContainerState.PAUSED_CREATED, ContainerState.PAUSED)


class ContainerEvent(enum.StrEnum):
    """An event in the life of a container; the values appear in error messages."""

    CREATE = "create"
    START = "start"
    EXEC = "exec"
    PAUSE = "pause"
    RESUME = "resume"
    UPDATE = "update"
    EXIT = "exit"
    """The init has ended."""
    REMOVE = "remove"


_S = ContainerState
_E = ContainerEvent

TRANSITIONS: Final = {
    (_S.CREATING, _E.CREATE): _S.CREATED,
    (_S.CREATING, _E.REMOVE): _S.REMOVED,
    (_S.CREATED, _E.START): _S.RUNNING,
    (_S.CREATED, _E.EXEC): _S.CREATED,
    (_S.CREATED, _E.PAUSE): _S.PAUSED_CREATED,
    (_S.CREATED, _E.UPDATE): _S.CREATED,
    (_S.CREATED, _E.EXIT): _S.STOPPED,
    (_S.CREATED, _E.REMOVE): _S.REMOVED,
    (_S.RUNNING, _E.EXEC): _S.RUNNING,
    (_S.RUNNING, _E.PAUSE): _S.PAUSED,
    (_S.RUNNING, _E.UPDATE): _S.RUNNING,
    (_S.RUNNING, _E.EXIT): _S.STOPPED,
    (_S.RUNNING, _E.REMOVE): _S.REMOVED,
    (_S.PAUSED_CREATED, _E.RESUME): _S.CREATED,
    (_S.PAUSED_CREATED, _E.UPDATE): _S.PAUSED_CREATED,
    (_S.PAUSED_CREATED, _E.EXIT): _S.STOPPED,
    (_S.PAUSED_CREATED, _E.REMOVE): _S.REMOVED,
    (_S.PAUSED, _E.RESUME): _S.RUNNING,
    (_S.PAUSED, _E.UPDATE): _S.PAUSED,
    (_S.PAUSED, _E.EXIT): _S.STOPPED,
    (_S.PAUSED, _E.REMOVE): _S.REMOVED,
    (_S.STOPPED, _E.REMOVE): _S.REMOVED,
}
"""An event that is missing for a state is refused when the host asks for it, and
changes nothing when it has happened."""
