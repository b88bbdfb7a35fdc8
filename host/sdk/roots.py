# SPDX-License-Identifier: Apache-2.0
"""From an image of the host to directories in the guest that containers are based on.

An image is a directory or an archive that tar can read, with a whole root file system;
or what `docker save` and skopeo write, whose layers the image store keeps.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from kata_host.client.agent_client import AgentClient
from kata_host.client.identifier import new_id
from kata_host.client.layered_root import disk_storage
from kata_host.client.upload import SHARED, upload
from kata_host.errors import FileError, NotFound
from kata_host.explain import explain
from kata_host.guest.qmp import QmpError
from kata_host.guest.vm_disks import LINK, plug_disk, remove_unused_disks
from kata_host.image.archive import is_archive
from kata_host.image.errors import ImageError
from kata_host.image.image_store import ImageStore
from kata_host.scratch import Scratch
from kata_host.tar.root_tree import (
    ERRORS_LIMIT,
    make_root_directory,
    reason_of,
    unpack_command,
)
from kata_protos import agent_pb2

_HIDDEN: Final = re.compile(r"/(?:dev|proc|run|sys)(?:/|$)|.*[:,\\\\]")
"""Paths that a local guest does not see, and those that overlayfs would split."""


@dataclass(frozen=True, slots=True)
class Root:
    """What a container is based on, and what an image says of its processes."""

    layers: tuple[str, ...]
    """Directories of the guest, the highest first."""
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str = "/"
    user: str = ""
    """As in `ImageConfig`; empty for root."""
    storages: tuple[agent_pb2.Storage, ...] = ()
    """What the layers need."""


OWN: Final = Root(("/",))
"""The guest's own root."""


class Roots:
    """The images of one guest; each is brought into the guest once.

    A guest that sees the host's files uses directories where they are; archives are
    unpacked into a directory of the host. Into another guest, the files are copied. The
    layers of an image are a disk in a VM of this host, until `close`.
    """

    def __init__(
        self, client: AgentClient, *, sees_host: bool, monitor: Path | None = None
    ) -> None:
        """`monitor` is that of a VM (`kata_host.guest.vm_disks`)."""
        self._client = client
        self._sees_host = sees_host
        self._monitor = monitor
        self._ready: dict[tuple[str, int], asyncio.Task[Root]] = {}
        self._scratch = Scratch("rootfs")
        self._lock = threading.Lock()
        self._used = contextlib.ExitStack()
        """Keeps images of the store from removal."""

    async def find(self, image: str | os.PathLike[str] | None) -> Root:
        """Return what containers of an image are based on, for None the guest's root.

        Raises `NotFound`, `FileError` and `ImageError`, and the errors of the client.
        """
        if image is None:
            return OWN
        key = await asyncio.to_thread(_key, os.fspath(image))
        task = self._ready.get(key)
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = self._ready[key] = asyncio.create_task(self._bring(key[0]))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Stop bringing images, and remove what was unpacked."""
        for task in self._ready.values():
            task.cancel()
        # What nobody waits for any more is no error.
        await asyncio.gather(*self._ready.values(), return_exceptions=True)
        await asyncio.to_thread(self._remove)
        await asyncio.to_thread(self._used.close)

    def _make_scratch(self) -> Path:
        # Of two images at a time, one makes it.
        with self._lock:
            return self._scratch.make()

    def _remove(self) -> None:
        has_disks = any(self._scratch.path.glob(f"*/{LINK}"))
        self._scratch.remove()
        if has_disks and self._monitor is not None:
            # Of a VM that has ended nothing is left.
            with contextlib.suppress(QmpError):
                remove_unused_disks(self._monitor)

    async def _bring(self, image: str) -> Root:
        path = Path(image)
        if not await asyncio.to_thread(path.exists):
            return await asyncio.to_thread(self._find_layers, image)
        try:
            is_directory = await asyncio.to_thread(path.is_dir)
            source = path if is_directory else await self._unpack(path)
            if await asyncio.to_thread(is_archive, source):
                return await asyncio.to_thread(self._find_layers, path)
            if self._sees_host and not _HIDDEN.match(os.fspath(source)):
                return Root((os.fspath(source),))
            target = f"{SHARED}/{new_id('rootfs')}"
            await upload(self._client.agent, source, target)
            return Root((target,))
        except (OSError, ExceptionGroup) as raised:
            raise _explained(path, raised) from raised

    def _find_layers(self, source: str | Path) -> Root:
        """Return the layers of a saved image, or of one that has a name. Blocks."""
        if not self._sees_host and self._monitor is None:
            raise ImageError(
                f"image '{source}': only a local guest of this program and a VM of "
                "this host take layers"
            )
        store = ImageStore.open()
        image = store.obtain(source)
        config = image.config
        root = Root((), config.env, config.working_dir, config.user)
        if self._monitor is None:
            layers = self._used.enter_context(store.used(image))
            return replace(root, layers=tuple(map(str, layers)))
        disk = self._used.enter_context(store.used_as_disk(image))
        folder = self._make_scratch() / new_id("disk")
        folder.mkdir()
        address = plug_disk(self._monitor, folder, disk)
        storage = disk_storage(folder.name, "scsi", address)
        return replace(root, layers=(storage.mount_point,), storages=(storage,))

    async def _unpack(self, archive: Path) -> Path:
        top = await asyncio.to_thread(self._make_scratch)
        root = top / new_id("root")
        await asyncio.to_thread(make_root_directory, root)
        tar = await asyncio.create_subprocess_exec(
            *unpack_command(archive, root),
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            assert tar.stderr is not None
            errors = await tar.stderr.read(ERRORS_LIMIT)
            while more := await tar.stderr.read(ERRORS_LIMIT):
                errors = (errors + more)[:ERRORS_LIMIT]
            await tar.wait()
        except BaseException:
            tar.kill()
            await tar.wait()
            raise
        if tar.returncode:
            raise FileError(f"image '{archive}': {reason_of(errors)}")
        return root


def _key(image: str) -> tuple[str, int]:
    """Return the real path of an image, and when it was changed, in nanoseconds.

    A name of the image store is a path that is not there.
    """
    try:
        path = Path(image).resolve(strict=True)
        return str(path), path.stat().st_mtime_ns
    except (OSError, RuntimeError) as error:
        if image.startswith((".", "/")) or not image:
            raise NotFound(f"image '{image}': no such directory or archive") from error
        return image, 0


def _explained(image: Path, error: Exception) -> Exception:
    """Return the error of an image; a group is of files that were not copied."""
    if isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if not isinstance(error, OSError):
        return error
    return FileError(f"image '{image}': {explain(error)}")
