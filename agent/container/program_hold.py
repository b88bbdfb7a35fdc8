# SPDX-License-Identifier: Apache-2.0
"""Hold an exec's program back until its terminal is ready.

crun sets the size of an exec's terminal, and crun 1.8 sets no owner, while the new
process is on its way to the program: a program that starts quickly sees a terminal of
0 by 0 characters that belongs to another user.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from kata_agent.blocking import blocking
from kata_agent.linux.exec_hold import ExecHold
from kata_agent.linux.openat2 import open_in_root
from kata_agent.linux.spawn import DEFAULT_ENVIRONMENT
from kata_agent.oci.spec import Spec

log = logging.getLogger(__name__)

LONGEST_HOLD: Final = 2.0
"""Seconds; a start takes milliseconds."""


@contextlib.asynccontextmanager
async def program_held(process: Spec, init: Path) -> AsyncIterator[None]:
    """Keep the program of an exec from its first instruction for the block.

    `init` is the directory of the container's init in `/proc`. The other programs on
    the same mount of the container wait too, for `LONGEST_HOLD` at most. Nothing is
    held where the kernel cannot, and if the program is not found.
    """
    holding = asyncio.ensure_future(blocking(_hold, process, init))
    try:
        hold = await asyncio.shield(holding)
    except asyncio.CancelledError:
        holding.add_done_callback(_release)
        raise
    if hold is None:
        yield
        return
    timer = asyncio.get_running_loop().call_later(LONGEST_HOLD, hold.release)
    try:
        yield
    finally:
        timer.cancel()
        hold.release()


def _release(holding: asyncio.Future[ExecHold | None]) -> None:
    if not holding.cancelled() and holding.exception() is None:
        if (hold := holding.result()) is not None:
            hold.release()


def _hold(process: Spec, init: Path) -> ExecHold | None:
    try:
        # A hold of the agent's own mounts would stop the agent.
        if os.path.samefile(init / "ns/mnt", "/proc/self/ns/mnt"):
            return None
        root = os.open(init / "root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError):
        # The container has ended.
        return None
    try:
        program = _find_program(root, process)
    finally:
        os.close(root)
    if program is None:
        return None
    try:
        return ExecHold(f"/proc/self/fd/{program}")
    except OSError as error:
        log.info("program not held back", extra={"error": str(error)})
        return None
    finally:
        os.close(program)


def _find_program(root: int, process: Spec) -> int | None:
    """Return a descriptor (O_PATH) of the first argument's program, or None."""
    name = process["args"][0]
    environment = dict(entry.partition("=")[::2] for entry in process["env"])
    path = environment.get("PATH", DEFAULT_ENVIRONMENT["PATH"])
    directories = [""] if "/" in name else path.split(":")
    for directory in directories:
        file = os.path.join(process["cwd"], directory, name)
        try:
            descriptor = open_in_root(root, file, os.O_PATH)
        except OSError:
            continue
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISREG(mode) and mode & 0o111:
            return descriptor
        os.close(descriptor)
    return None
