# SPDX-License-Identifier: Apache-2.0
"""The removal of cgroups whose processes have ended."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from kata_agent.blocking import blocking
from kata_agent.cgroup import tree

_PAUSES: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Seconds between attempts. Dead processes leave a cgroup a moment after they were
reaped, and another process may have made a cgroup meanwhile."""


async def remove_all(find: Callable[[], Iterable[Path]]) -> None:
    """Remove the cgroups that `find` returns, and those below them.

    Raises `OSError` with EBUSY if one stays in use.
    """
    for pause in _PAUSES:
        if not await blocking(_busy, find):
            return
        await asyncio.sleep(pause)
    if busy := await blocking(_busy, find):
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(busy))


def _busy(find: Callable[[], Iterable[Path]]) -> Path | None:
    """Remove what can be removed, and return one that cannot."""
    busy = [top for top in find() if not tree.remove(top)]
    return busy[0] if busy else None
