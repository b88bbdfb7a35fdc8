# SPDX-License-Identifier: Apache-2.0
"""Memory that is plugged in while the guest runs is offline until somebody asks.

virtio-mem adds blocks without a request to bring them online, and there is no
udev rule to do it.
"""

from __future__ import annotations

import logging
import re
from typing import Final

from agent.paths import SystemPaths
from agent.uevent import Uevent, UeventMatcher

log = logging.getLogger(__name__)

BLOCK: Final = UeventMatcher(
    description="a memory block",
    subsystem="memory",
    devpath=re.compile(r"/devices/system/memory/memory[0-9]+"),
)


def online_block(paths: SystemPaths, event: Uevent) -> None:
    """Bring the memory block of `event` online. Blocks; a failure is logged."""
    file = paths.sys / event.devpath.removeprefix("/") / "online"
    try:
        file.write_text("1")
    except OSError as error:
        log.warning("memory block %s: not online: %s", event.devpath, error)
