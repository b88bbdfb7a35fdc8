# SPDX-License-Identifier: Apache-2.0
"""Devices that the host gives to a container.

Each type has a file here with a function that finds the device in the guest.
A new one is that file and a line in `HANDLERS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

from kata_agent.blocking import blocking
from kata_agent.device import block, mmio, nvdimm, scsi, vfio
from kata_agent.device.environment import translate
from kata_agent.device.hotplug import Hotplug
from kata_agent.device.node import DeviceNode, Found
from kata_agent.device.renumber import renumber
from kata_agent.device.rules import complete_rules, read_own_disks
from kata_agent.errors import InvalidArgument
from kata_protos.agent_pb2 import Device
from kata_tracing import semconv
from kata_tracing.span import span


class DeviceHandler(Protocol):
    """Finds one type of device, and waits for it if need be."""

    async def __call__(self, hotplug: Hotplug, device: Device) -> Found: ...


HANDLERS: Final[dict[str, DeviceHandler]] = {
    "blk": block.find,
    "mmioblk": mmio.find,
    "nvdimm": nvdimm.find,
    "scsi": scsi.find,
    "vfio-pci": vfio.find,
    "vfio-pci-gk": vfio.find_for_kernel,
}


class Devices:
    """Finds devices, and writes the guest's view of them into container specs."""

    def __init__(self, hotplug: Hotplug) -> None:
        self._hotplug = hotplug
        self._pci_addresses: dict[str, str] = {}

    async def add(self, messages: Sequence[Device], spec: dict[str, Any]) -> None:
        """Find all devices, then edit `spec` in place, also for none.

        The spec gets the guest's device numbers, complete device rules and, in
        its process's environment, the guest's PCI addresses. When a device does
        not come, the spec stays as it was.
        """
        for message in messages:
            check(message)
        nodes: dict[str, DeviceNode] = {}
        for message in messages:
            if message.container_path in nodes:
                raise InvalidArgument(f"device {message.container_path!r}: given twice")
            with span(
                "device.find",
                {semconv.DEVICE_TYPE: message.type, semconv.DEVICE_ID: message.id},
                subsystem="device",
            ):
                found = await HANDLERS[message.type](self._hotplug, message)
            self._pci_addresses.update(found.pci_addresses)
            if found.node is not None:
                nodes[message.container_path] = found.node
        own_disks = await blocking(read_own_disks, self._hotplug.paths)
        renumber(spec, nodes)
        complete_rules(spec, own_disks)
        if process := spec.get("process"):
            process["env"] = self.translate_environment(process.get("env") or ())

    def translate_environment(self, env: Iterable[str]) -> list[str]:
        """Return `env` with the guest's PCI addresses, for any of its processes."""
        return translate(env, self._pci_addresses)


def check(device: Device) -> None:
    """Raise `InvalidArgument` for a device that cannot be meant."""
    what = f"device {device.container_path or device.id or device.vm_path!r}"
    if not device.type:
        raise InvalidArgument(f"{what}: no type")
    if not device.id and not device.vm_path and not device.options:
        raise InvalidArgument(f"{what}: neither id nor vm_path")
    if not device.container_path:
        raise InvalidArgument(f"{what}: no container_path")
    if device.type not in HANDLERS:
        raise InvalidArgument(f"{what}: unknown type {device.type!r}")
