# SPDX-License-Identifier: Apache-2.0
"""The state of the sandbox, which says whether it takes new containers.

A sandbox is open from the start, because a host may create containers without
CreateSandbox: each of them then has namespaces of its own. After DestroySandbox the
sandbox is open again, for the next CreateSandbox. A sandbox that cannot be taken down
in time is stuck, and the agent ends without waiting for that.
"""

from __future__ import annotations

import enum
from typing import Final


class SandboxState(enum.Enum):
    """Whether containers may be created."""

    OPEN = enum.auto()
    ENDING = enum.auto()
    """Everything is being taken down."""
    STUCK = enum.auto()
    """Everything is being taken down, for longer than DestroySandbox waits."""


class SandboxEvent(enum.Enum):
    """The steps of DestroySandbox."""

    DESTROY = enum.auto()
    DESTROYED = enum.auto()
    TIME_OUT = enum.auto()


TRANSITIONS: Final = {
    (SandboxState.OPEN, SandboxEvent.DESTROY): SandboxState.ENDING,
    # CreateSandbox, for which DestroySandbox has to wait, may hang as well.
    (SandboxState.OPEN, SandboxEvent.TIME_OUT): SandboxState.STUCK,
    (SandboxState.ENDING, SandboxEvent.DESTROYED): SandboxState.OPEN,
    (SandboxState.ENDING, SandboxEvent.TIME_OUT): SandboxState.STUCK,
    (SandboxState.STUCK, SandboxEvent.DESTROY): SandboxState.STUCK,
    (SandboxState.STUCK, SandboxEvent.DESTROYED): SandboxState.OPEN,
    (SandboxState.STUCK, SandboxEvent.TIME_OUT): SandboxState.STUCK,
}
