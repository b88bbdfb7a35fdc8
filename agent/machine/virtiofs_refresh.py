# SPDX-License-Identifier: Apache-2.0
"""Make virtiofsd drop what the host has deleted.

The host's side of a virtio-fs share keeps an entry as long as the guest's kernel has
it cached. To look each mount up once more is what ends that.
"""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Final

from kata_agent.blocking import blocking
from kata_agent.linux.mount import read_mounts
from kata_agent.system_paths import SystemPaths

log = logging.getLogger(__name__)

TIMEOUT: Final = 5.0
"""Seconds for each mount: one whose server is gone never answers."""


async def refresh_shared_mounts(paths: SystemPaths) -> None:
    """Look up every mount point below the shared directory; failures are logged."""
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
        log.info("stale mount", extra={"mount_point": point, "error": str(error)})
