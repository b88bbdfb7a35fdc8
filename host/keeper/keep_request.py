# SPDX-License-Identifier: Apache-2.0
"""What a keeper is started with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeepRequest:
    """A container to keep; sent to the keeper as one JSON object."""

    fd: int
    """The descriptor of the container's record, whose lock the keeper inherits."""
    address: str
    """The agent's address."""
    listeners: Sequence[int] = ()
    """Descriptors of the sockets of the record's ports, in their order."""
