# SPDX-License-Identifier: Apache-2.0
"""The types of devices. A new one is a file in this folder and a line in `HANDLERS`.

The type's name is in `driver_names.py` as well, which the start of the agent reads.
"""

from __future__ import annotations

from typing import Final, Protocol

from kata_agent.device import block, mmio, nvdimm, scsi, vfio
from kata_agent.device.device_match import DeviceMatch
from kata_agent.device.hotplug import Hotplug
from kata_protos.agent_pb2 import Device


class DeviceHandler(Protocol):
    """Finds a device of one type, and waits for it if it is not there yet.

    Raises `Timeout` if the device does not come, other `AgentError`s and `OSError`.
    """

    async def __call__(self, hotplug: Hotplug, device: Device) -> DeviceMatch: ...


HANDLERS: Final[dict[str, DeviceHandler]] = {
    "blk": block.find,
    "mmioblk": mmio.find,
    "nvdimm": nvdimm.find,
    "scsi": scsi.find,
    "vfio-pci": vfio.find,
    "vfio-pci-gk": vfio.find_for_kernel,
}
"""By the name that `Device.type` has."""
