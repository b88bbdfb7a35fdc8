# SPDX-License-Identifier: Apache-2.0
"""Volumes of containers: where they are, or by a server for each container."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TypeAlias

from kata_host.client.volume import shared_volume
from kata_host.guest.sharing.share_request import SharedPath
from kata_host.guest.sharing.sharing import Sharing
from kata_host.scratch import Scratch
from kata_host.sdk.volume import Volumes, to_volumes
from kata_host.uncancelled import uncancelled
from kata_protos import agent_pb2, oci_pb2

InGuest: TypeAlias = "tuple[Sequence[oci_pb2.Mount], Sequence[agent_pb2.Storage]]"
"""Mounts of a container, and the storages that they need."""


class VolumeSharing:
    """Brings volumes into one guest."""

    def __init__(self, *, sees_host: bool, monitor: Path | None) -> None:
        """`monitor` is that of a VM (`kata_host.guest.vm_disks`)."""
        self._sees_host = sees_host
        self._monitor = monitor

    @contextlib.asynccontextmanager
    async def shared(self, volumes: Volumes) -> AsyncIterator[InGuest]:
        """Have the guest see volumes during the block, in which their container ends.

        Raises `NotFound`, `GuestError` and `ValueError`.
        """
        found = await asyncio.to_thread(to_volumes, volumes, sees_host=self._sees_host)
        if not found or self._sees_host:
            yield [volume.to_mount() for volume in found], []
            return
        if self._monitor is None:
            raise ValueError(
                f"volume {found[0].destination!r}: only a local guest and a VM of this "
                "host see its files"
            )
        scratch = Scratch("volumes")
        sharing = Sharing(self._monitor, scratch.path)
        paths = [SharedPath(volume.source, volume.read_only) for volume in found]
        try:
            await uncancelled(asyncio.to_thread(scratch.make))
            shared = await uncancelled(asyncio.to_thread(sharing.start, paths))
            pairs = [
                shared_volume(volume, each.tag, each.file)
                for volume, each in zip(found, shared, strict=True)
            ]
            yield (
                [volume.to_mount() for _, volume in pairs],
                [storage for storage, _ in pairs],
            )
        finally:
            await uncancelled(asyncio.to_thread(_end, scratch, sharing))


def _end(scratch: Scratch, sharing: Sharing) -> None:
    scratch.remove()
    sharing.wait()
