# SPDX-License-Identifier: Apache-2.0
"""CopyFile: files, directories and symbolic links that the host puts into the guest.

Everything happens below one directory, which a container may share and fill with
symlinks of its own: names are resolved by the kernel beneath that directory, and the
last one is only ever used inside its opened parent (`kata_agent.linux.beneath`).

A file comes in chunks and is built under a name of its own beside its place. It
appears there, whole, when every byte has come; the order of the chunks is free. Chunk
0 of a file that has one already starts it anew.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from kata_agent.blocking import blocking
from kata_agent.errors import InvalidArgument
from kata_agent.linux.beneath import make_directories, open_directory, opened, proc_path
from kata_agent.linux.tree import remove_directory
from kata_agent.machine.ranges import add_range
from kata_agent.system_paths import SystemPaths
from kata_protos.agent_pb2 import CopyFileRequest

log = logging.getLogger(__name__)

PARTIAL_LIMIT: Final = 64
"""Files that may be half there at a time; the oldest goes for the next."""

DIRECTORY_MODE: Final = 0o755
"""For parents, when the request says nothing."""


@dataclass(slots=True)
class _Partial:
    """A file that is being received: its descriptors, its name for now, its bytes."""

    parent: int
    name: str
    fd: int
    size: int
    received: list[tuple[int, int]] = field(default_factory=list)

    def is_whole(self) -> bool:
        return self.size == 0 or self.received == [(0, self.size)]

    def has(self, offset: int) -> bool:
        return any(start <= offset < end for start, end in self.received)

    def close(self) -> None:
        os.close(self.fd)
        os.close(self.parent)

    def discard(self) -> None:
        try:
            os.unlink(self.name, dir_fd=self.parent)
        except OSError as error:
            log.warning("partial file stays", extra={"error": str(error)})
        self.close()


@dataclass(slots=True)
class _Target:
    """A path that files are received for; its lock is for the chunks of one file."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    partial: _Partial | None = None
    users: int = 0


class FileCopies:
    """Receives files for the directory that host and guest share."""

    def __init__(self, paths: SystemPaths) -> None:
        self._root = PurePosixPath(paths.shared)
        self._lock = threading.Lock()
        self._targets: dict[str, _Target] = {}

    async def copy(self, request: CopyFileRequest) -> None:
        """Carry out one request. Raises `InvalidArgument` or `OSError`."""
        path = self._relative(request.path)
        _check(request)
        try:
            await blocking(self._copy, path, request)
        except OSError as error:
            # What openat2 says of a path that leads out (man 2 openat2).
            if error.errno in (errno.EXDEV, errno.ELOOP):
                raise InvalidArgument(
                    f"file '{request.path}': leaves the shared directory"
                ) from error
            raise

    def discard_partial(self) -> None:
        """Forget every file that is half there; for the end of a sandbox."""
        with self._lock:
            for target in self._targets.values():
                self._discard_if_idle(target)

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
                    _make_symlink(root, path, request, _temporary_name())
                case _:
                    self._receive(root, path, request)

    def _receive(self, root: int, path: str, request: CopyFileRequest) -> None:
        with self._target(path) as target, target.lock:
            partial = target.partial
            if partial is not None and (
                partial.size != request.file_size
                or (request.offset == 0 and partial.has(0))
            ):
                partial.discard()
                partial = None
            if partial is None:
                partial = _start(root, path, request, _temporary_name())
            target.partial = None
            try:
                _write(partial, request)
                if partial.is_whole():
                    _finish(partial, path, request)
                    return
            except BaseException:
                partial.discard()
                raise
            target.partial = partial

    @contextmanager
    def _target(self, path: str) -> Iterator[_Target]:
        with self._lock:
            target = self._targets.setdefault(path, _Target())
            target.users += 1
            if len(self._targets) > PARTIAL_LIMIT:
                self._discard_oldest()
        try:
            yield target
        finally:
            with self._lock:
                target.users -= 1
                if not target.users and target.partial is None:
                    del self._targets[path]

    def _discard_oldest(self) -> None:
        for path, target in self._targets.items():
            if not target.users:
                log.warning("partial file given up for another", extra={"path": path})
                self._discard_if_idle(target)
                del self._targets[path]
                return

    @staticmethod
    def _discard_if_idle(target: _Target) -> None:
        if not target.users and target.partial is not None:
            target.partial.discard()
            target.partial = None


def _check(request: CopyFileRequest) -> None:
    path = request.path
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


def _temporary_name() -> str:
    # Unguessable, so that a container cannot have the name taken before us.
    return f".copy-{os.urandom(8).hex()}"


def _split(path: str) -> tuple[str, str]:
    parent, _, name = path.rpartition("/")
    return parent, name


def _open_parent(root: int, path: str, request: CopyFileRequest) -> int:
    """Open the directory that `path` is in; make it and its parents if missing."""
    mode = request.dir_mode & 0o777 or DIRECTORY_MODE
    parent, made = make_directories(root, _split(path)[0], mode=mode)
    try:
        if made:
            # Only the innermost is the file's own; mkdir's mode was cut by the umask.
            os.chown(proc_path(parent), request.uid, request.gid)
            os.chmod(proc_path(parent), mode)
    except BaseException:
        os.close(parent)
        raise
    return parent


def _start(root: int, path: str, request: CopyFileRequest, name: str) -> _Partial:
    parent = _open_parent(root, path, request)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(name, flags, 0o600, dir_fd=parent)
    except BaseException:
        os.close(parent)
        raise
    return _Partial(parent, name, fd, request.file_size)


def _write(partial: _Partial, request: CopyFileRequest) -> None:
    offset = request.offset
    view = memoryview(request.data)
    while view:
        written = os.pwrite(partial.fd, view, offset)
        offset += written
        view = view[written:]
    partial.received = add_range(partial.received, request.offset, offset)


def _finish(partial: _Partial, path: str, request: CopyFileRequest) -> None:
    # In this order: a change of owner takes the set-user-ID bit away.
    os.fchown(partial.fd, request.uid, request.gid)
    os.fchmod(partial.fd, request.file_mode & 0o7777)
    _put_in_place(partial.parent, partial.name, _split(path)[1])
    partial.close()


def _put_in_place(parent: int, temporary: str, name: str) -> None:
    """Rename over what is there, if need be a whole directory."""
    try:
        os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
    except IsADirectoryError:
        remove_directory(parent, name)
        os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)


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


def _make_symlink(root: int, path: str, request: CopyFileRequest, name: str) -> None:
    with opened(_open_parent(root, path, request)) as parent:
        os.symlink(request.data, name, dir_fd=parent)
        try:
            os.chown(
                name,
                request.uid,
                request.gid,
                dir_fd=parent,
                follow_symlinks=False,
            )
            _put_in_place(parent, name, _split(path)[1])
        except BaseException:
            os.unlink(name, dir_fd=parent)
            raise
