# SPDX-License-Identifier: Apache-2.0
"""The end of a guest that has the agent as PID 1."""

from __future__ import annotations

import logging
import os
import threading
from typing import Final

from kata_agent.linux.reboot import RB_POWER_OFF, reboot

log = logging.getLogger(__name__)

SYNC_SECONDS: Final = 10.0
"""The time that `sync` gets."""


def power_off() -> None:
    """Write cached data to the disks and switch the machine off; do not return in a VM.

    `sync` gets `SYNC_SECONDS`, because a file system that does not answer must not keep
    the machine on.
    """
    sync = threading.Thread(target=os.sync, name="sync", daemon=True)
    sync.start()
    sync.join(SYNC_SECONDS)
    if sync.is_alive():
        log.error(
            "sync not done in time, powering off", extra={"seconds": SYNC_SECONDS}
        )
    reboot(RB_POWER_OFF)
