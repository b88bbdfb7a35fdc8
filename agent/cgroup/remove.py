# SPDX-License-Identifier: Apache-2.0
"""The removal of cgroups whose processes have ended."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from kata_agent.blocking import blocking
from kata_agent.cgroup import tree
from kata_agent.dying import PAUSES


async def remove_all(find: Callable[[], Iterable[Path]]) -> None:
    """Remove the cgroups that `find` returns, and those below them.

    Tries again for a moment, in which another process may also have made a cgroup.
    Raises `OSError` with EBUSY if one stays in use.
    """
    for pause in PAUSES:
        if not await blocking(remove_unused, find):
            return
        await asyncio.sleep(pause)
    if busy := await blocking(remove_unused, find):
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), str(busy))


def remove_unused(find: Callable[[], Iterable[Path]]) -> Path | None:
    """Remove what can be removed, and return one that cannot. Blocks."""
    busy = [top for top in find() if not tree.remove(top)]
    return busy[0] if busy else None
