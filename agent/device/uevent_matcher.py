# SPDX-License-Identifier: Apache-2.0
"""A filter for device events."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kata_agent.device.uevent import Uevent


@dataclass(frozen=True, slots=True)
class UeventMatcher:
    """Tells whether an event is about the device that a caller waits for."""

    description: str
    """The device in words, for the error if it does not come."""
    subsystem: str
    devpath: re.Pattern[str]
    """Must match the whole path, so that `0:0:0:1` never means `0:0:0:10`."""
    action: str = "add"

    def matches(self, event: Uevent) -> bool:
        """Tell whether the event is about the device."""
        return (
            event.action == self.action
            and event.subsystem == self.subsystem
            and self.devpath.fullmatch(event.devpath) is not None
        )
