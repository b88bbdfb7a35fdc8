# SPDX-License-Identifier: Apache-2.0
"""How many descriptors the agent may have, and how many each container.

The agent has five for each process of a container, and the kernel gives PID 1 as many
as any program: 1,024. Containers keep that limit (man 2 getrlimit, RLIMIT_NOFILE).
"""

from __future__ import annotations

import resource
from typing import Final, NamedTuple

WANTED: Final = 1 << 16
"""Descriptors of an agent that may raise its hard limit (CAP_SYS_RESOURCE)."""


class DescriptorLimit(NamedTuple):
    """The limit of one process."""

    soft: int
    hard: int


_inherited: DescriptorLimit | None = None


def raise_limit() -> None:
    """Raise the agent's limit as far as it may."""
    global _inherited
    _inherited = DescriptorLimit(*resource.getrlimit(resource.RLIMIT_NOFILE))
    for limit in (max(_inherited.hard, WANTED), _inherited.hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        except (OSError, ValueError):
            # Without the capability: the limit becomes the hard one that there is.
            continue
        return


def inherited_limit() -> DescriptorLimit | None:
    """Return the limit that the agent began with, None if it still has that."""
    return _inherited
