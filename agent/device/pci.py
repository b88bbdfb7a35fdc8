# SPDX-License-Identifier: Apache-2.0
"""PCI paths: the host's names for PCI devices, and the way to them through sysfs.

    PCI path   02/03.1      slot 2 of the root bus is a bridge, and the device is in
                            slot 3, function 1, of the bus behind it; hexadecimal, one
                            part for each bus
    PCI path   20/02/03     of three parts or more, a first part above 1f is the number
                            of another root complex
    sysfs      /devices/pci0000:00/0000:00:02.0/0000:01:03.1

The host knows slots. Only the guest knows the number that its kernel gave to the bus
behind each bridge.
"""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass
from typing import Final

from kata_agent.errors import InvalidArgument, NotFound
from kata_agent.system_paths import SystemPaths

log = logging.getLogger(__name__)

PART: Final = re.compile(r"([0-9a-fA-F]{1,2})(?:\.([0-7]))?")
MAX_SLOT: Final = 0x1F
BUS: Final = re.compile(r"[0-9a-f]{4,}:[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Slot:
    """The slot and function that a device has on its bus."""

    slot: int
    function: int = 0

    def __str__(self) -> str:
        return f"{self.slot:02x}.{self.function}"


@dataclass(frozen=True, slots=True)
class PciPath:
    """The slots from a root bus to a device; all but the last hold a bridge."""

    slots: tuple[Slot, ...]
    root_complex: int = 0

    def __str__(self) -> str:
        parts = [str(slot).removesuffix(".0") for slot in self.slots]
        if self.root_complex:
            parts.insert(0, f"{self.root_complex:02x}")
        return "/".join(parts)


def parse_pci_path(text: str) -> PciPath:
    """Parse a PCI path. Raises `InvalidArgument`."""
    parts = text.split("/")
    matches = [PART.fullmatch(part) for part in parts]
    slots = [Slot(int(match[1], 16), int(match[2] or 0)) for match in matches if match]
    if len(slots) != len(parts):
        raise InvalidArgument(f"PCI path {text!r}: not of the form SS[.F]/SS[.F]")
    root_complex = 0
    if len(slots) >= 3 and slots[0].slot > MAX_SLOT and "." not in parts[0]:
        root_complex = slots.pop(0).slot
    for slot in slots:
        if slot.slot > MAX_SLOT:
            raise InvalidArgument(f"PCI path {text!r}: no slot {slot.slot:#x}")
    return PciPath(tuple(slots), root_complex)


def devpath_of(paths: SystemPaths, path: PciPath) -> str:
    """Return the device's path below `/sys`; the device itself may be missing. Blocks.

    Raises `NotFound` if a bridge on the way has no bus behind it.
    """
    devpath = _root_bus(paths, path.root_complex)
    bus = f"0000:{path.root_complex:02x}"
    for depth, slot in enumerate(path.slots):
        if depth:
            bus = _bus_behind(paths, devpath, path)
        devpath = f"{devpath}/{bus}:{slot}"
    return devpath


def _root_bus(paths: SystemPaths, root_complex: int) -> str:
    name = f"pci0000:{root_complex:02x}"
    devpath = f"/devices/{name}"
    if not os.path.isdir(f"{paths.sys}{devpath}"):
        # Arm guests without ACPI have their PCI host bridge on the platform bus.
        for found in sorted((paths.sys / "devices/platform").glob(f"*.pcie/{name}")):
            return f"/{found.relative_to(paths.sys)}"
    return devpath


def _bus_behind(paths: SystemPaths, bridge: str, path: PciPath) -> str:
    directory = f"{paths.sys}{bridge}/pci_bus"
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        raise NotFound(f"PCI path '{path}': no bus behind {bridge}") from None
    if len(names) != 1 or not BUS.fullmatch(names[0]):
        raise NotFound(f"PCI path '{path}': not one bus behind {bridge}: {names}")
    return names[0]


def rescan(paths: SystemPaths) -> None:
    """Make the kernel look for PCI devices that ACPI did not announce. Blocks.

    ACPI announces plugged devices, but some guests have no ACPI. A failure is only
    logged, because the device may come without a rescan.
    """
    try:
        (paths.sys / "bus/pci/rescan").write_text("1")
    except OSError as error:
        log.warning("PCI rescan failed", extra={"error": str(error)})
