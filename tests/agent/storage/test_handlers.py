# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

from kata_agent.storage import handlers
from kata_agent.storage.driver_names import DRIVERS
from kata_agent.storage.handlers import HANDLERS

FOLDER = Path(handlers.__file__).parent
ADD = "\nasync def add(storage: Storage, context: DriverContext) -> None:"


def test_every_driver_has_a_file_of_its_own() -> None:
    drivers = {
        f"kata_agent.storage.{file.stem}"
        for file in FOLDER.glob("*.py")
        if ADD in file.read_text()
    }
    registered = [handler.add.__module__ for handler in HANDLERS.values()]
    assert sorted(registered) == sorted(drivers)


def test_every_add_says_which_options_it_takes() -> None:
    for name, handler in HANDLERS.items():
        assert "ptions" in (handler.add.__doc__ or ""), name


def test_the_names_are_those_of_the_drivers_sorted() -> None:
    assert tuple(sorted(HANDLERS)) == DRIVERS
