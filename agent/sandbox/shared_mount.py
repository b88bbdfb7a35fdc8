# SPDX-License-Identifier: Apache-2.0
"""Mounts that one container makes for another: a sidecar with a FUSE volume, say."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Final

from kata_agent.blocking import blocking, uninterrupted
from kata_agent.container.container import Container
from kata_agent.container.container_state import ContainerState
from kata_agent.errors import InvalidArgument, InvalidState, NotFound, Timeout
from kata_agent.linux.beneath import opened
from kata_agent.linux.mount_namespace import copy_mount
from kata_agent.linux.mountinfo import read_mounts
from kata_agent.oci.pod import kubernetes_name
from kata_protos.agent_pb2 import SharedMount
from kata_tracing.span import span

log = logging.getLogger(__name__)

WAIT_SECONDS: Final = 10.0
"""The time that the source container has to make the mount."""
ENDED: Final = (ContainerState.STOPPED, ContainerState.REMOVED)
POLL_SECONDS: Final = 0.1
"""The time between two readings of the source container's mounts."""


async def share_mounts(
    messages: Iterable[SharedMount],
    containers: Callable[[], Iterable[Container]],
    target: Container,
) -> None:
    """Mount in `target` copies of the mounts of other containers.

    A source that is unknown, has ended, or does not make its mount within
    `WAIT_SECONDS` (for all messages together) is skipped with a warning, because Kata's
    runtimes send the same list for every pod. `containers` returns the containers of
    the sandbox, in the order of their creation. Raises `InvalidArgument` for a path
    that is not absolute, `OSError` for a mount that cannot be copied.
    """
    messages = list(messages)
    for message in messages:
        for path in (message.src_path, message.dst_path):
            if not path.startswith("/") or ".." in path.split("/"):
                raise InvalidArgument(
                    f"shared mount {message.name!r}: path {path!r} is not absolute"
                )
    deadline = time.monotonic() + WAIT_SECONDS
    for message in messages:
        try:
            source = await _wait_for_source(message, containers, target, deadline)
        except (InvalidState, NotFound, Timeout) as error:
            log.warning(
                "shared mount skipped",
                extra={"container_id": target.id, "error": str(error)},
            )
            continue
        with (
            opened(source) as source_namespace,
            opened(_open_namespace(target)) as target_namespace,
            span("mount.share", subsystem="storage"),
        ):
            await uninterrupted(
                copy_mount,
                source_namespace,
                message.src_path,
                target_namespace,
                message.dst_path,
            )


async def _wait_for_source(
    message: SharedMount,
    containers: Callable[[], Iterable[Container]],
    target: Container,
    deadline: float,
) -> int:
    """Return the mount namespace of the source, once the mount is made in it.

    Raises `NotFound`, `InvalidState` or `Timeout` for a source that is not ready.
    """
    wanted = PurePosixPath(message.src_path)
    while True:
        source = _find(containers(), message.src_ctr, target)
        if source is None:
            raise NotFound(
                f"shared mount {message.name!r}: no container {message.src_ctr!r}"
            )
        if await blocking(_is_mounted, source.proc, wanted):
            return _open_namespace(source)
        if time.monotonic() >= deadline:
            raise Timeout(
                f"shared mount {message.name!r}: nothing mounted on "
                f"{message.src_path!r} of container {message.src_ctr!r} "
                f"within {WAIT_SECONDS:g} s"
            )
        await asyncio.sleep(POLL_SECONDS)


def _find(
    containers: Iterable[Container], name: str, target: Container
) -> Container | None:
    """Return the container with a Kubernetes name, otherwise the one with that id.

    Of several, because one has been restarted, the last that runs.
    """
    others = [container for container in containers if container is not target]
    found = [
        container for container in others if kubernetes_name(container.spec) == name
    ]
    found = found or [container for container in others if container.id == name]
    running = [each for each in found if each.lifecycle.state not in ENDED]
    found = running or found
    return found[-1] if found else None


def _is_mounted(proc: Path, point: PurePosixPath) -> bool:
    try:
        mounts = list(read_mounts(proc / "mountinfo"))
    except OSError:
        # The process has just ended; the caller learns that from the event loop.
        return False
    return any(PurePosixPath(mount.point) == point for mount in mounts)


def _open_namespace(container: Container) -> int:
    """Open a container's mount namespace.

    Not in a thread, because the event loop reaps the init: while it does not run, the
    pid cannot become that of another process. Raises `InvalidState` without an init.
    """
    try:
        return os.open(container.proc / "ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        # A process that has ended and is not reaped yet has no namespace.
        raise InvalidState(
            f"container {container.id!r}: its init does not run"
        ) from error
