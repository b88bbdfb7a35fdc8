# SPDX-License-Identifier: Apache-2.0
"""Files of the host, copied into a guest that shares no file system with the host."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from kata_protos import agent_pb2
from kata_protos.agent_ttrpc import AgentServiceClient

SHARED: Final = "/run/kata-containers/shared/containers"
"""The only directory of a guest that an agent lets the host copy to."""
CHUNK: Final = 1 << 20
"""Bytes of a file in one message, as the Kata runtime has it."""
IN_FLIGHT: Final = 16
"""Files that are copied at the same time."""
COPIED: Final = (stat.S_IFDIR, stat.S_IFLNK, stat.S_IFREG)
"""Kinds of files that CopyFile knows."""
FILE_MODE: Final = 0o644
DIRECTORY_MODE: Final = 0o755
"""Mode of directories that the agent makes on the way to a file."""


async def upload(
    agent: AgentServiceClient, source: Path, target: str
) -> Sequence[Path]:
    """Copy the tree at `source` to `target`, a path in the guest below `SHARED`.

    Owners, modes and symbolic links are kept. Returns the files that are left out:
    sockets, fifos and device nodes, which CopyFile does not know.

    Raises `OSError` before the first copy for a directory that cannot be read and for a
    name that is not UTF-8, and a group of `OSError` and `StatusError` for files that
    cannot be read or that the agent refuses.
    """
    limit = asyncio.Semaphore(IN_FLIGHT)
    left_out = []
    found = list(_walk(source, target))

    async def copy(path: Path, status: os.stat_result, name: str) -> None:
        async with limit:
            for request in _requests(path, status, name):
                await agent.copy_file(request)

    async with asyncio.TaskGroup() as group:
        for path, status, name in found:
            if stat.S_IFMT(status.st_mode) not in COPIED:
                left_out.append(path)
            elif stat.S_ISDIR(status.st_mode):
                # First, or the agent would make it for its entries with another mode.
                await copy(path, status, name)
            else:
                group.create_task(copy(path, status, name))
    return left_out


async def upload_content(
    agent: AgentServiceClient,
    content: bytes,
    target: str,
    *,
    mode: int = FILE_MODE,
    owner: tuple[int, int] = (0, 0),
) -> None:
    """Make the file `target`, a path in the guest below `SHARED`, or replace it.

    Raises `StatusError`.
    """
    view = memoryview(content)
    for offset in range(0, max(len(content), 1), CHUNK):
        await agent.copy_file(
            agent_pb2.CopyFileRequest(
                path=target,
                file_mode=stat.S_IFREG | mode,
                dir_mode=DIRECTORY_MODE,
                uid=owner[0],
                gid=owner[1],
                file_size=len(content),
                offset=offset,
                data=bytes(view[offset : offset + CHUNK]),
            )
        )


def _walk(source: Path, target: str) -> Iterator[tuple[Path, os.stat_result, str]]:
    """Yield each file to copy with its path in the guest, a directory before its
    entries."""
    yield source, source.lstat(), target
    if not source.is_dir() or source.is_symlink():
        return
    for directory, directories, files in os.walk(source, onerror=_raise):
        for entry in (*directories, *files):
            path = Path(directory, entry)
            name = f"{target}/{path.relative_to(source)}"
            _check_name(name, path)
            yield path, path.lstat(), name


def _raise(error: OSError) -> None:
    raise error


def _check_name(name: str, path: Path) -> None:
    """Raise `OSError` for a name in the guest that no message can hold."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise OSError(errno.EILSEQ, "name is not UTF-8", os.fsencode(path)) from None


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
    else:
        for data, offset, size in _chunks(path):
            yield request(data, offset, size)


def _chunks(path: Path) -> Iterator[tuple[bytes, int, int]]:
    """Yield the bytes of a file, their offset, and the size of the whole.

    Raises `OSError`, also for a file that is another's or shorter than it was.
    """
    # A link that has taken the file's place is not followed, a fifo not waited for.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(path, flags), "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.ESTALE, "has changed while it was copied", str(path))
        # Files of /proc have no size. The size of others is that of now, because the
        # last chunk must end exactly there.
        size = status.st_size or _size_by_reading(file, path)
        for offset in range(0, max(size, 1), CHUNK):
            data = _read(file, path, offset, min(CHUNK, size - offset))
            if len(data) < min(CHUNK, size - offset):
                reason = "has become shorter while it was copied"
                raise OSError(errno.ESTALE, reason, str(path))
            yield data, offset, size


def _size_by_reading(file: BinaryIO, path: Path) -> int:
    size = 0
    while data := _read(file, path, size, CHUNK):
        size += len(data)
    return size


def _read(file: BinaryIO, path: Path, offset: int, size: int) -> bytes:
    try:
        file.seek(offset)
        return file.read(size)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
