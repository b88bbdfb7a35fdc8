# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_agent.device.environment import translate

ADDRESSES = {"0000:3b:00.1": "0000:01:00.0", "0000:3b:00.2": "0000:01:00.1"}


@pytest.mark.parametrize(
    ("host", "guest"),
    [
        ("PCIDEVICE_X=0000:3b:00.1", "PCIDEVICE_X=0000:01:00.0"),
        (
            "PCIDEVICE_X=0000:3b:00.1,0000:3b:00.2",
            "PCIDEVICE_X=0000:01:00.0,0000:01:00.1",
        ),
        ("PCIDEVICE_X=0000:3b:00.1,0000:3b:00.7", None),
        (
            'PCIDEVICE_X_INFO={"0000:3b:00.2": {"generic": {"deviceID": '
            '"0000:3b:00.2"}}}',
            'PCIDEVICE_X_INFO={"0000:01:00.1": {"generic": {"deviceID": '
            '"0000:01:00.1"}}}',
        ),
        ("OTHER=0000:3b:00.1", "OTHER=0000:3b:00.1"),
        ("PCIDEVICE_X", "PCIDEVICE_X"),
        ("", ""),
    ],
)
def test_known_addresses_are_replaced_in_plugins_variables_alone(
    host: str, guest: str | None
) -> None:
    if guest is None:
        guest = "PCIDEVICE_X=0000:01:00.0,0000:3b:00.7"
    assert translate([host], ADDRESSES) == [guest]


def test_without_devices_nothing_is_replaced() -> None:
    assert translate(["PCIDEVICE_X=0000:3b:00.1"], {}) == ["PCIDEVICE_X=0000:3b:00.1"]
