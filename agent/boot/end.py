# SPDX-License-Identifier: Apache-2.0
"""The end of a guest whose PID 1 we are."""

from __future__ import annotations

import logging
import os
import threading
from typing import Final

from kata_agent.linux.reboot import RB_POWER_OFF, reboot

log = logging.getLogger(__name__)

SYNC_SECONDS: Final = 10.0


def power_off() -> None:
    """Write out what is in memory and switch the machine off. Does not return in a VM.

    A file system that does not answer must not keep the machine on, so `sync` gets
    a limited time.
    """
    sync = threading.Thread(target=os.sync, name="sync", daemon=True)
    sync.start()
    sync.join(SYNC_SECONDS)
    if sync.is_alive():
        log.error("sync takes too long, power off without it")
    reboot(RB_POWER_OFF)
