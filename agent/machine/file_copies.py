# SPDX-License-Identifier: Apache-2.0
"""CopyFile: files, directories and symbolic links that the host puts into the guest.

Everything happens below one directory, which a container may share and fill with
symlinks of its own. So the kernel resolves each name beneath that directory, and the
last part of a name is only ever used inside its opened parent
(`kata_agent.linux.beneath`).

A file arrives in chunks, in any order, and is built under a temporary name. The file
appears in its place, whole, when every byte has been written. A second chunk at offset
0 starts the file anew.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from kata_agent.blocking import blocking
from kata_agent.errors import InvalidArgument
from kata_agent.linux.beneath import (
    make_directories,
    open_directory,
    opened,
    proc_path,
    remove_directories,
)
from kata_agent.machine.partial_file import PartialFile, put_in_place, temporary_name
from kata_agent.system_paths import SystemPaths
from kata_protos.agent_pb2 import CopyFileRequest

log = logging.getLogger(__name__)

PARTIAL_LIMIT: Final = 64
"""Partial files that are kept at a time; one more removes the oldest."""

DIRECTORY_MODE: Final = 0o755
"""The mode of new parent directories when the request gives none."""


HIGHEST_ID: Final = (1 << 32) - 2
"""-1, which is the number above in unsigned, means "no change" (man 2 chown)."""
NAME_LIMIT: Final = 255
"""Bytes of a part of a path (NAME_MAX of linux/limits.h)."""


@dataclass(slots=True)
class _Destination:
    """A path that chunks arrive for."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held while one chunk is written."""
    partial: PartialFile | None = None
    users: int = 0
    """Calls that write a chunk, or wait for `lock`."""
    is_given_up: bool = False
    """The last of those calls discards the partial file."""


class FileCopies:
    """Receives files for the directory that host and guest share."""

    def __init__(self, paths: SystemPaths) -> None:
        self._root = PurePosixPath(paths.shared)
        self._lock = threading.Lock()
        self._destinations: dict[str, _Destination] = {}

    async def copy(self, request: CopyFileRequest) -> None:
        """Carry out one request. Raises `InvalidArgument` or `OSError`."""
        path = self._relative(request.path)
        _check(request)
        try:
            await blocking(self._copy, path, request)
        except OSError as error:
            # openat2's errors for a path that leads out (man 2 openat2).
            if error.errno in (errno.EXDEV, errno.ELOOP):
                raise InvalidArgument(
                    f"file '{request.path}': leaves the shared directory"
                ) from error
            raise

    def discard_partial(self) -> None:
        """Remove every partial file, since the sandbox ends. Blocks.

        A file whose chunk is being written at this moment goes right after it.
        """
        with self._lock:
            for path, destination in list(self._destinations.items()):
                destination.is_given_up = True
                self._discard_if_idle(path, destination)

    def _relative(self, path: str) -> str:
        parts = PurePosixPath(path).parts
        root = self._root.parts
        below = parts[len(root) :]
        if parts[: len(root)] != root or not below or ".." in parts or "\0" in path:
            raise InvalidArgument(f"file '{path}': not a path below {self._root}")
        return "/".join(below)

    def _copy(self, path: str, request: CopyFileRequest) -> None:
        os.makedirs(self._root, mode=0o755, exist_ok=True)
        with opened(open_directory(str(self._root))) as root:
            match stat.S_IFMT(request.file_mode):
                case stat.S_IFDIR:
                    _make_directory(root, path, request)
                case stat.S_IFLNK:
                    _make_symlink(root, path, request)
                case _:
                    self._receive(root, path, request)

    def _receive(self, root: int, path: str, request: CopyFileRequest) -> None:
        with self._destination(path) as destination, destination.lock:
            partial = destination.partial
            if partial is not None and (
                partial.size != request.file_size
                or (request.offset == 0 and partial.has(0))
            ):
                partial.discard()
                partial = None
            if partial is None:
                parent = _open_parent(root, path, request)
                partial = PartialFile.create(parent, request.file_size)
            destination.partial = None
            try:
                partial.write(request.data, request.offset)
                if partial.is_whole():
                    partial.finish(
                        _split(path)[1],
                        uid=request.uid,
                        gid=request.gid,
                        mode=request.file_mode & 0o7777,
                    )
                    return
            except BaseException:
                partial.discard()
                raise
            destination.partial = partial

    @contextmanager
    def _destination(self, path: str) -> Iterator[_Destination]:
        with self._lock:
            destination = self._destinations.setdefault(path, _Destination())
            destination.users += 1
            if len(self._destinations) > PARTIAL_LIMIT:
                self._give_up_oldest()
        try:
            yield destination
        finally:
            with self._lock:
                destination.users -= 1
                if destination.partial is None or destination.is_given_up:
                    self._discard_if_idle(path, destination)

    def _give_up_oldest(self) -> None:
        for path, destination in self._destinations.items():
            if not destination.users:
                log.warning("partial file discarded: too many", extra={"path": path})
                self._discard_if_idle(path, destination)
                return

    def _discard_if_idle(self, path: str, destination: _Destination) -> None:
        if destination.users:
            return
        if destination.partial is not None:
            destination.partial.discard()
        del self._destinations[path]


def _check(request: CopyFileRequest) -> None:
    path = request.path
    for name in ("uid", "gid"):
        if not -1 <= (number := getattr(request, name)) <= HIGHEST_ID:
            raise InvalidArgument(f"file '{path}': {name} {number}")
    if any(len(os.fsencode(part)) > NAME_LIMIT for part in path.split("/")):
        raise InvalidArgument(f"file '{path}': a name over {NAME_LIMIT} bytes")
    match stat.S_IFMT(request.file_mode):
        case 0 | stat.S_IFREG:
            if request.offset < 0 or request.file_size < 0:
                raise InvalidArgument(f"file '{path}': negative offset or size")
            if request.offset + len(request.data) > request.file_size:
                raise InvalidArgument(f"file '{path}': data beyond its size")
        case stat.S_IFLNK:
            if not request.data or b"\0" in request.data:
                raise InvalidArgument(f"symlink '{path}': no target")
        case stat.S_IFDIR:
            return
        case _:
            raise InvalidArgument(
                f"file '{path}': neither a file, a directory nor a symlink"
            )


def _split(path: str) -> tuple[str, str]:
    parent, _, name = path.rpartition("/")
    return parent, name


def _open_parent(root: int, path: str, request: CopyFileRequest) -> int:
    """Open the directory that `path` is in; make it and its parents if missing."""
    mode = request.dir_mode & 0o777 or DIRECTORY_MODE
    made: list[str] = []
    try:
        parent = make_directories(root, _split(path)[0], made, mode=mode)
        try:
            if made:
                # Only the innermost directory gets the file's owner. That directory's
                # mode is set again, because the umask has cut the mode that mkdir was
                # given.
                os.chown(proc_path(parent), request.uid, request.gid)
                os.chmod(proc_path(parent), mode)
        except BaseException:
            os.close(parent)
            raise
    except BaseException:
        with suppress(OSError):
            remove_directories(root, made)
        raise
    return parent


def _make_directory(root: int, path: str, request: CopyFileRequest) -> None:
    name = _split(path)[1]
    with opened(_open_parent(root, path, request)) as parent:
        try:
            os.mkdir(name, 0o700, dir_fd=parent)
        except FileExistsError:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode):
                os.unlink(name, dir_fd=parent)
                os.mkdir(name, 0o700, dir_fd=parent)
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        with opened(os.open(name, flags, dir_fd=parent)) as directory:
            os.fchown(directory, request.uid, request.gid)
            os.fchmod(directory, request.file_mode & 0o7777)


def _make_symlink(root: int, path: str, request: CopyFileRequest) -> None:
    temporary = temporary_name()
    with opened(_open_parent(root, path, request)) as parent:
        os.symlink(request.data, temporary, dir_fd=parent)
        try:
            os.chown(
                temporary,
                request.uid,
                request.gid,
                dir_fd=parent,
                follow_symlinks=False,
            )
            put_in_place(parent, temporary, _split(path)[1])
        except BaseException:
            os.unlink(temporary, dir_fd=parent)
            raise
