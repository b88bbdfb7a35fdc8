# SPDX-License-Identifier: Apache-2.0
"""What a program asks a server for: volumes in a VM, for as long as a folder exists."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SharedPath:
    """A file or directory of the host."""

    source: str
    """A real path."""
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Shared:
    """A path that a VM has."""

    tag: str
    """The name of the device, which the guest mounts."""
    file: str = ""
    """The file's name in what is mounted; empty for a directory."""


@dataclass(frozen=True, slots=True)
class ShareRequest:
    """Sent to the server as one JSON object."""

    monitor: str
    """The path of QEMU's monitor."""
    folder: str
    """The folder that stands for the container."""
    paths: list[SharedPath]
    unplug_timeout: float
    """Seconds that the guest may take to let its devices go."""
