# SPDX-License-Identifier: Apache-2.0
"""Files of the host, copied into a guest that shares no file system with the host."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kata_protos import agent_pb2
from kata_protos.agent_ttrpc import AgentServiceClient

SHARED: Final = "/run/kata-containers/shared/containers"
"""The only directory of a guest that an agent lets the host copy to."""
CHUNK: Final = 1 << 20
"""Bytes of a file in one message, as the Kata runtime has it."""
IN_FLIGHT: Final = 16
"""Files that are copied at the same time."""
DIRECTORY_MODE: Final = 0o755
"""Mode of directories that the agent makes on the way to a file."""


async def upload(agent: AgentServiceClient, source: Path, target: str) -> None:
    """Copy the tree at `source` to `target`, a path in the guest below `SHARED`.

    Owners, modes and symbolic links are kept; sockets, fifos and device nodes are left
    out. Raises `OSError`, and a group of `StatusError` if the agent refuses files.
    """
    limit = asyncio.Semaphore(IN_FLIGHT)

    async def copy(path: Path, status: os.stat_result, name: str) -> None:
        async with limit:
            for request in _requests(path, status, name):
                await agent.copy_file(request)

    async with asyncio.TaskGroup() as group:
        for path, status, name in _walk(source, target):
            if stat.S_ISDIR(status.st_mode):
                # First, or the agent would make it for its entries with another mode.
                await copy(path, status, name)
            else:
                group.create_task(copy(path, status, name))


def _walk(source: Path, target: str) -> Iterator[tuple[Path, os.stat_result, str]]:
    """Yield each file to copy with its path in the guest, a directory before its
    entries."""
    yield source, source.lstat(), target
    if not source.is_dir() or source.is_symlink():
        return
    for directory, directories, files in os.walk(source):
        for entry in (*directories, *files):
            path = Path(directory, entry)
            yield path, path.lstat(), f"{target}/{path.relative_to(source)}"


def _requests(
    path: Path, status: os.stat_result, name: str
) -> Iterator[agent_pb2.CopyFileRequest]:
    def request(data: bytes, offset: int, size: int) -> agent_pb2.CopyFileRequest:
        return agent_pb2.CopyFileRequest(
            path=name,
            file_mode=status.st_mode,
            dir_mode=DIRECTORY_MODE,
            uid=status.st_uid,
            gid=status.st_gid,
            file_size=size,
            offset=offset,
            data=data,
        )

    if stat.S_ISDIR(status.st_mode):
        yield request(b"", 0, 0)
    elif stat.S_ISLNK(status.st_mode):
        link = os.fsencode(os.readlink(path))
        yield request(link, 0, len(link))
    elif stat.S_ISREG(status.st_mode):
        with open(path, "rb") as file:
            # The present size, because the last chunk must end exactly there.
            size = os.fstat(file.fileno()).st_size
            for offset in range(0, max(size, 1), CHUNK):
                data = file.read(min(CHUNK, size - offset))
                yield request(data, offset, size)
