# SPDX-License-Identifier: Apache-2.0
"""`RemoveStaleVirtiofsShareMounts`: make virtiofsd release deleted mount points.

The call is named after its effect on the host; nothing is unmounted in the guest.
virtiofsd holds descriptors of a mount point that the host has deleted as long as the
guest's kernel has the entry cached. To stat the mount point in the guest is enough: the
kernel finds that the entry is gone, drops it, and virtiofsd closes its descriptors.
"""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Final

from kata_agent.blocking import blocking
from kata_agent.linux.mountinfo import read_mounts
from kata_agent.system_paths import SystemPaths

log = logging.getLogger(__name__)

TIMEOUT: Final = 5.0
"""Seconds for each mount, because one whose server is gone never answers."""


async def refresh_shared_mounts(paths: SystemPaths) -> None:
    """Look up every mount point below the shared directory, all at once.

    A failure is logged: it is the expected result for a deleted file.
    """
    points = [
        mount.point
        for mount in read_mounts(paths.proc / "self/mountinfo")
        if paths.shared in Path(mount.point).parents
    ]
    await asyncio.gather(*(_refresh(point) for point in points))


async def _refresh(point: str) -> None:
    try:
        async with asyncio.timeout(TIMEOUT):
            await blocking(os.stat, point)
    except (OSError, TimeoutError) as error:
        log.info("stale mount found", extra={"mount_point": point, "error": str(error)})
