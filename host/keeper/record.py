# SPDX-License-Identifier: Apache-2.0
"""A container as the host knows it: see `records.py`."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


class ContainerState(enum.Enum):
    """The state of a container, read from its record and the record's lock together."""

    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"
    LOST = "lost"
    """The holder was killed before the end. The container may still run."""


@dataclass(frozen=True, slots=True)
class ContainerRecord:
    """One container of a guest."""

    id: str
    guest: str
    """The name of the guest in the registry."""
    command: list[str] = field(default_factory=list)
    rootfs: str = ""
    """What the root file system was made of, in the user's words."""
    created: float = 0
    """Seconds since the epoch."""
    env: list[str] = field(default_factory=list)
    """The environment that was asked for, as `NAME=value`."""
    cwd: str = "/"
    user: str = ""
    tty: bool = False
    interactive: bool = False
    detached: bool = False
    """Whether a keeper has its output."""
    remove: bool = False
    """Whether it is removed at its end."""
    owns_guest: bool = False
    """Whether its guest was started for it, and ends when it is removed."""
    volumes: list[str] = field(default_factory=list)
    ports: list[str] = field(default_factory=list)
    """Ports of this host, each with its program: `127.0.0.1:8080:80`."""
    memory: int = 0
    """Bytes; 0 is no limit."""
    cpus: float = 0
    """CPUs' worth of time; 0 is no limit."""
    pids: int = 0
    """Processes; 0 is no limit."""
    started: float = 0
    """Seconds since the epoch; 0 before the start."""
    ended: float = 0
    """Seconds since the epoch; 0 before the end."""
    status: int | None = None
    """The exit status; None before the end, or if it is not known."""
    error: str = ""
    """One line that says why there is no status, at the end."""

    @property
    def has_ended(self) -> bool:
        return self.ended > 0
