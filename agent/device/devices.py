# SPDX-License-Identifier: Apache-2.0
"""The devices of a container: found in the guest, and written into its spec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kata_agent.device.environment import translate
from kata_agent.device.hotplug import Hotplug
from kata_agent.device.node import DeviceNode
from kata_agent.device.renumber import renumber
from kata_agent.errors import InvalidArgument
from kata_protos.agent_pb2 import Device
from kata_tracing import semconv
from kata_tracing.span import span

if TYPE_CHECKING:
    from kata_agent.device.handlers import DeviceHandler


class Devices:
    """Finds devices, and writes the guest's view of them into container specs."""

    def __init__(self, hotplug: Hotplug) -> None:
        self._hotplug = hotplug

    async def add(
        self, messages: Sequence[Device], spec: dict[str, Any]
    ) -> Mapping[str, str]:
        """Find all devices, then edit `spec` in place.

        The spec gets the guest's device numbers and, in the environment of its process,
        the guest's PCI addresses. If a device does not come, the spec stays as it was.
        Raises `AgentError` or `OSError`.

        Returns the guest's PCI address of each of the host's, for the environments of
        further processes. They hold for this container only, because the host gives an
        address to another device once this container is gone.
        """
        for message in messages:
            check(message)
        nodes: dict[str, DeviceNode] = {}
        pci_addresses: dict[str, str] = {}
        for message in messages:
            if message.container_path in nodes:
                raise InvalidArgument(f"device {message.container_path!r}: given twice")
            with span(
                "device.find",
                {semconv.DEVICE_TYPE: message.type, semconv.DEVICE_ID: message.id},
                subsystem="device",
            ):
                match = await handlers()[message.type](self._hotplug, message)
            pci_addresses.update(match.pci_addresses)
            if match.node is not None:
                nodes[message.container_path] = match.node
        renumber(spec, nodes)
        if process := spec.get("process"):
            process["env"] = translate(process.get("env") or (), pci_addresses)
        return pci_addresses


def handlers() -> Mapping[str, DeviceHandler]:
    """Return the handler of each driver."""
    # Imported by the first request, because a start does not need the drivers.
    from kata_agent.device.handlers import HANDLERS

    return HANDLERS


def check(device: Device) -> None:
    """Raise `InvalidArgument` for a request that no driver could carry out."""
    subject = f"device {device.container_path or device.id or device.vm_path!r}"
    if not device.type:
        raise InvalidArgument(f"{subject}: no type")
    if not device.id and not device.vm_path and not device.options:
        raise InvalidArgument(f"{subject}: neither id nor vm_path")
    if not device.container_path:
        raise InvalidArgument(f"{subject}: no container_path")
    if device.type not in handlers():
        raise InvalidArgument(f"{subject}: unknown type {device.type!r}")
