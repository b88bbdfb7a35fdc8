# SPDX-License-Identifier: Apache-2.0
"""The outcome of the search for one device of a request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kata_agent.device.node import DeviceNode


@dataclass(frozen=True, slots=True)
class DeviceMatch:
    """The device that a driver has found in the guest."""

    node: DeviceNode | None = None
    """None for a device that the guest's kernel drives: the container gets no node."""
    pci_addresses: Mapping[str, str] = field(default_factory=dict)
    """PCI addresses of passed-through devices: the host's -> the guest's
    (`0000:01:00.0`)."""
