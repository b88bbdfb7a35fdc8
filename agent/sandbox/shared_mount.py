# SPDX-License-Identifier: Apache-2.0
"""Mounts that one container makes for another: a sidecar with a FUSE volume, say."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path, PurePosixPath
from typing import Final

from kata_agent.blocking import blocking
from kata_agent.container.container import Container
from kata_agent.errors import InvalidArgument, Timeout
from kata_agent.linux.beneath import opened
from kata_agent.linux.mount_namespace import copy_mount
from kata_agent.linux.mountinfo import read_mounts
from kata_protos.agent_pb2 import SharedMount
from kata_tracing.span import span

WAIT_SECONDS: Final = 10.0
"""The time that the source container has to make the mount."""
POLL_SECONDS: Final = 0.1
"""The time between two readings of the source container's mounts."""


async def share_mount(
    message: SharedMount, source: Container, target: Container
) -> None:
    """Mount a copy of `source`'s mount in `target`, once `source` has made the mount.

    Raises `InvalidArgument` for a path that is not absolute, `Timeout` when `source`
    does not mount anything within `WAIT_SECONDS`.
    """
    subject = f"shared mount {message.name!r}"
    for path in (message.src_path, message.dst_path):
        if not path.startswith("/") or ".." in path.split("/"):
            raise InvalidArgument(f"{subject}: path {path!r} is not absolute")
    wanted = PurePosixPath(message.src_path)
    deadline = time.monotonic() + WAIT_SECONDS
    while not await blocking(_is_mounted, source.proc, wanted):
        if time.monotonic() >= deadline:
            raise Timeout(
                f"{subject}: nothing mounted on {message.src_path!r} "
                f"of container {message.src_ctr!r} within {WAIT_SECONDS:g} s"
            )
        await asyncio.sleep(POLL_SECONDS)
    with (
        span("mount.share", subsystem="storage"),
        opened(_open_namespace(source)) as source_namespace,
        opened(_open_namespace(target)) as target_namespace,
    ):
        await blocking(
            copy_mount,
            source_namespace,
            message.src_path,
            target_namespace,
            message.dst_path,
        )


def _is_mounted(proc: Path, point: PurePosixPath) -> bool:
    mounts = read_mounts(proc / "mountinfo")
    return any(PurePosixPath(mount.point) == point for mount in mounts)


def _open_namespace(container: Container) -> int:
    """Open a container's mount namespace.

    Not in a thread, because the event loop reaps the init: while it does not run, the
    pid cannot become that of another process.
    """
    return os.open(container.proc / "ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
