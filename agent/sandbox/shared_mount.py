# SPDX-License-Identifier: Apache-2.0
"""Mounts that one container makes for another, as a sidecar with a FUSE volume does."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

from kata_agent.blocking import blocking
from kata_agent.errors import InvalidArgument, Timeout
from kata_agent.linux.beneath import opened
from kata_agent.linux.mount import read_mounts
from kata_agent.linux.mount_namespace import copy_mount
from kata_protos.agent_pb2 import SharedMount
from kata_tracing.span import span

WAIT_SECONDS: Final = 10.0
PAUSE_SECONDS: Final = 0.1


class Host(Protocol):
    """A container that has mounts: `kata_agent.container.container.Container`."""

    @property
    def proc(self) -> Path:
        """The directory of its init in `/proc`. Raises `AgentError` without one."""
        ...


async def share_mount(message: SharedMount, source: Host, target: Host) -> None:
    """Mount a copy of `source`'s mount in `target`, once `source` has made it.

    Raises `Timeout` when it does not within ten seconds.
    """
    what = f"shared mount {message.name!r}"
    for path in (message.src_path, message.dst_path):
        if not path.startswith("/") or ".." in path.split("/"):
            raise InvalidArgument(f"{what}: path {path!r} is not absolute")
    wanted = PurePosixPath(message.src_path)
    deadline = time.monotonic() + WAIT_SECONDS
    while not await blocking(_is_mounted, source.proc, wanted):
        if time.monotonic() >= deadline:
            raise Timeout(
                f"{what}: nothing mounted on {message.src_path!r} "
                f"of container {message.src_ctr!r} within {WAIT_SECONDS:g} s"
            )
        await asyncio.sleep(PAUSE_SECONDS)
    with (
        span("mount.share", subsystem="storage"),
        opened(_open_namespace(source)) as origin,
        opened(_open_namespace(target)) as goal,
    ):
        await blocking(copy_mount, origin, message.src_path, goal, message.dst_path)


def _is_mounted(proc: Path, point: PurePosixPath) -> bool:
    mounts = read_mounts(proc / "mountinfo")
    return any(PurePosixPath(mount.point) == point for mount in mounts)


def _open_namespace(host: Host) -> int:
    """Open its mount namespace; not in a thread, so that the pid is still its own."""
    return os.open(host.proc / "ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
