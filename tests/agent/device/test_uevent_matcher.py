# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import re

import pytest

from kata_agent.device.uevent import Uevent
from kata_agent.device.uevent_matcher import UeventMatcher

DISK = "/devices/pci0000:00/0000:00:02.0/virtio1/block/vdb"
MATCHER = UeventMatcher("a disk", "block", re.compile(r"/devices/.+/block/vd[a-z]"))


def test_an_event_of_the_device_matches() -> None:
    assert MATCHER.matches(Uevent("add", "block", DISK))


@pytest.mark.parametrize(
    "event",
    [
        Uevent("remove", "block", DISK),
        Uevent("add", "bdi", DISK),
        Uevent("add", "block", f"{DISK}1"),
        Uevent("add", "block", f"/x{DISK}"),
        Uevent("add", "block", ""),
    ],
)
def test_action_subsystem_and_the_whole_path_count(event: Uevent) -> None:
    assert not MATCHER.matches(event)
