# SPDX-License-Identifier: Apache-2.0
"""The names of the storage drivers, without the drivers.

The agent tells the names at its start and in `GetGuestDetails`, and imports no driver
for that, because most drivers are never used.
"""

from __future__ import annotations

from typing import Final

DRIVERS: Final = (
    "9p",
    "bind",
    "blk",
    "ephemeral",
    "local",
    "mmioblk",
    "nvdimm",
    "overlayfs",
    "scsi",
    "virtio-fs",
    "watchable-bind",
)
"""The keys of `kata_agent.storage.handlers.HANDLERS`, sorted."""
