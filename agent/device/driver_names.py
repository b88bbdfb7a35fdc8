# SPDX-License-Identifier: Apache-2.0
"""The names of the device types, without the code that finds devices.

The agent tells the names at its start and in `GetGuestDetails`, and imports no driver
for that, because most types are never used.
"""

from __future__ import annotations

from typing import Final

DRIVERS: Final = ("blk", "mmioblk", "nvdimm", "scsi", "vfio-pci", "vfio-pci-gk")
"""The keys of `kata_agent.device.handlers.HANDLERS`, sorted."""
