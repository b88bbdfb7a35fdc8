# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

from kata_agent.device import handlers
from kata_agent.device.driver_names import DRIVERS
from kata_agent.device.handlers import HANDLERS

FOLDER = Path(handlers.__file__).parent
FIND = "\nasync def find(hotplug: Hotplug, device: Device) -> DeviceMatch:"


def test_every_file_with_a_find_is_registered() -> None:
    drivers = {
        f"kata_agent.device.{file.stem}"
        for file in FOLDER.glob("*.py")
        if FIND in file.read_text()
    }
    registered = {handler.__module__ for handler in HANDLERS.values()}
    assert registered == drivers


def test_the_names_are_those_of_the_drivers_sorted() -> None:
    assert tuple(sorted(HANDLERS)) == DRIVERS
