# SPDX-License-Identifier: Apache-2.0
"""From an image of the host to a directory in the guest that containers are based on.

An image is a directory, or an archive that tar can read, with a whole root file system.
"""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import Final

from kata_host.client.agent_client import AgentClient
from kata_host.client.identifier import new_id
from kata_host.client.upload import SHARED, upload
from kata_host.errors import FileError, NotFound
from kata_host.explain import explain
from kata_host.scratch import Scratch

OWN: Final = "/"
"""The guest's own root."""

_HIDDEN: Final = re.compile(r"/(?:dev|proc|run|sys)(?:/|$)|.*[:,\\\\]")
"""Paths that a local guest does not see, and those that overlayfs would split."""


class Roots:
    """The images of one guest; each is brought into the guest once.

    A guest that sees the host's files uses directories where they are; archives are
    unpacked into a directory of the host. Into another guest, the files are copied.
    """

    def __init__(self, client: AgentClient, *, sees_host: bool) -> None:
        self._client = client
        self._sees_host = sees_host
        self._ready: dict[tuple[Path, int], asyncio.Task[str]] = {}
        self._scratch = Scratch("rootfs")

    async def find(self, image: str | os.PathLike[str] | None) -> str:
        """Return the guest's path of a directory with the image's files.

        None is the guest's own root. Raises `NotFound` and `FileError`, and the errors
        of the client.
        """
        if image is None:
            return OWN
        path, changed = await asyncio.to_thread(_look_up, Path(image))
        task = self._ready.get((path, changed))
        if task is None or (task.done() and (task.cancelled() or task.exception())):
            task = asyncio.create_task(self._bring(path))
            self._ready[path, changed] = task
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Stop bringing images, and remove what was unpacked."""
        for task in self._ready.values():
            task.cancel()
        if self._ready:
            await asyncio.wait(self._ready.values())
        await asyncio.to_thread(self._scratch.remove)

    async def _bring(self, path: Path) -> str:
        try:
            is_directory = await asyncio.to_thread(path.is_dir)
            source = path if is_directory else await self._unpack(path)
            if self._sees_host and not _HIDDEN.match(os.fspath(source)):
                return os.fspath(source)
            target = f"{SHARED}/{new_id('rootfs')}"
            await upload(self._client.agent, source, target)
            return target
        except (OSError, ExceptionGroup) as raised:
            raise _explained(path, raised) from raised

    async def _unpack(self, archive: Path) -> Path:
        top = await asyncio.to_thread(self._scratch.make)
        root = top / new_id("root")
        await asyncio.to_thread(_make_directory, root)
        # GNU tar strips leading slashes, refuses "..", and makes symbolic links after
        # all files, so no member is written through a link.
        tar = await asyncio.create_subprocess_exec(
            *("tar", "--extract", "--preserve-permissions", "--numeric-owner"),
            *(f"--file={archive}", f"--directory={root}"),
            stdin=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            _, errors = await tar.communicate()
        except BaseException:
            tar.kill()
            await tar.wait()
            raise
        if tar.returncode:
            lines = errors.decode(errors="replace").splitlines() or ["tar failed"]
            raise FileError(f"image '{archive}': {lines[0]}")
        return root


def _look_up(image: Path) -> tuple[Path, int]:
    """Return the real path of an image, and when it was changed, in nanoseconds."""
    try:
        path = image.resolve(strict=True)
        return path, path.stat().st_mtime_ns
    except (OSError, RuntimeError) as error:
        raise NotFound(f"image '{image}': no such directory or archive") from error


def _make_directory(path: Path) -> None:
    path.mkdir()
    # Whatever the umask of the program is.
    path.chmod(0o755)


def _explained(image: Path, error: Exception) -> Exception:
    """Return the error of an image; a group is of files that were not copied."""
    if isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    if not isinstance(error, OSError):
        return error
    return FileError(f"image '{image}': {explain(error)}")
