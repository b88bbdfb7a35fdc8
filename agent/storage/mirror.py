# SPDX-License-Identifier: Apache-2.0
"""A copy of a small tree of files, updated when the source changes.

Both sides are hostile: containers may write into the copy and put symlinks there, and
the source may be a container's volume. So both are opened beneath their roots without
following any symlink; symlinks are copied as such.

The order of an update is that of Kubernetes' own volumes: first the files, then the
links that point at them, each replaced in one step, then the removals. So a reader
never sees a link whose target is yet to come.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
from contextlib import closing, suppress
from typing import Final

from kata_agent.errors import AgentError
from kata_agent.linux.beneath import is_directory, opened
from kata_agent.linux.openat2 import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from kata_agent.linux.tree import empty, walk
from kata_agent.storage.file_state import FileState
from kata_agent.storage.mount_point import MountPoint, make_mount_point, remove_tree
from kata_agent.storage.source import open_source
from kata_agent.system_paths import SystemPaths
from kata_agent.undo import Undo

MAX_ENTRIES: Final = 16
"""Files and symlinks; directories do not count."""
MAX_BYTES: Final = 1 << 20
INSIDE: Final = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS


class TooLarge(AgentError):
    """The source is too large to be copied over and over."""


class Mirror:
    """Keeps a mount point equal to a source, a directory or one file. Blocks."""

    def __init__(self, paths: SystemPaths, point: MountPoint, source: str) -> None:
        self._paths = paths
        self._point = point
        self._source = source
        self._copied: dict[str, FileState] = {}
        self._numbers = itertools.count()

    def update(self) -> None:
        """Copy all that has changed.

        Raises `TooLarge`, in most cases before anything is copied, other `AgentError`s
        and `OSError`.
        """
        with opened(open_source(self._paths, self._source)) as source:
            if is_directory(source):
                self._update_tree(source)
            else:
                self._update_file(source)

    def remove(self) -> None:
        """Remove the copy, with all that containers have put there."""
        remove_tree(self._point)

    def _update_file(self, source: int) -> None:
        """Write into the same file, because a bind mount of it keeps the inode."""
        now = FileState.read(source)
        if now.size > MAX_BYTES:
            raise TooLarge(f"source {self._source!r}: {now.size} bytes")
        if now.is_same(self._copied.get("")):
            return
        with opened(os.open(f"/proc/self/fd/{source}", os.O_RDONLY)) as file:
            content = _read(file)
        self._make(directory=False)
        with self._point.opened(os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW) as copy:
            _write(copy, content, now)
        self._copied = {"": now}

    def _make(self, *, directory: bool) -> None:
        os.close(make_mount_point(self._point, Undo(), directory=directory))

    def _update_tree(self, source: int) -> None:
        now = _survey(source)
        self._make(directory=True)
        with self._point.opened(os.O_RDONLY | os.O_DIRECTORY) as copy:
            for path, state in sorted(now.items(), key=lambda item: item[1].rank):
                before = self._copied.get(path)
                if state.is_same(before):
                    continue
                if before and not before.has_type_of(state):
                    _remove(copy, path)
                self._copy(source, copy, path, state)
                self._copied[path] = state
            for path in sorted(self._copied.keys() - now.keys(), reverse=True):
                _remove(copy, path)
                del self._copied[path]

    def _copy(self, source: int, copy: int, path: str, state: FileState) -> None:
        """Copy one file, directory or symlink; all but directories in one step."""
        with opened(_open_parent(copy, path)) as parent:
            name = os.path.basename(path)
            if stat.S_ISDIR(state.mode):
                with suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=parent)
                flags = os.O_RDONLY | os.O_DIRECTORY
                with opened(openat2(parent, name, flags, resolve=INSIDE)) as made:
                    os.fchown(made, state.uid, state.gid)
                    os.fchmod(made, stat.S_IMODE(state.mode))
                return
            fresh = f".new-{next(self._numbers)}"
            if stat.S_ISLNK(state.mode):
                os.symlink(state.link_target, fresh, dir_fd=parent)
            else:
                flags = os.O_RDONLY | os.O_NONBLOCK
                with opened(openat2(source, path, flags, resolve=INSIDE)) as file:
                    content = _read(file)
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                with opened(os.open(fresh, flags, 0o600, dir_fd=parent)) as made:
                    _write(made, content, state)
            os.rename(fresh, name, src_dir_fd=parent, dst_dir_fd=parent)


def _survey(source: int) -> dict[str, FileState]:
    """Return the state of each file, directory and symlink below `source`, by path.

    Others (devices, FIFOs, sockets) are left out.
    """
    found = {}
    entries = size = 0
    with closing(walk(source)) as walked:
        for path, entry in walked:
            state = FileState.read(entry)
            if stat.S_ISDIR(state.mode):
                found[path] = state
                continue
            if not stat.S_ISREG(state.mode) and not stat.S_ISLNK(state.mode):
                continue
            found[path] = state
            entries += 1
            size += state.size
            if entries > MAX_ENTRIES or size > MAX_BYTES:
                raise TooLarge(f"more than {MAX_ENTRIES} files or {MAX_BYTES} bytes")
    return found


def _open_parent(root: int, path: str) -> int:
    flags = os.O_PATH | os.O_DIRECTORY
    return openat2(root, os.path.dirname(path) or ".", flags, resolve=INSIDE)


def _read(file: int) -> bytes:
    """Read a whole file, which may have grown since its state was read."""
    chunks = []
    left = MAX_BYTES + 1
    while left and (chunk := os.read(file, left)):
        chunks.append(chunk)
        left -= len(chunk)
    if not left:
        raise TooLarge(f"more than {MAX_BYTES} bytes")
    return b"".join(chunks)


def _write(file: int, content: bytes, state: FileState) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]
    os.fchown(file, state.uid, state.gid)
    os.fchmod(file, stat.S_IMODE(state.mode))
    os.utime(file, ns=(state.modified_ns, state.modified_ns))


def _remove(root: int, path: str) -> None:
    """Remove `path` from the copy, whatever a container has made of it."""
    name = os.path.basename(path)
    try:
        directory = _open_parent(root, path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            # A container has replaced a directory on the way, so `path` is gone.
            return
        raise
    with suppress(FileNotFoundError), opened(directory) as parent:
        try:
            os.unlink(name, dir_fd=parent)
        except IsADirectoryError:
            flags = os.O_RDONLY | os.O_DIRECTORY
            with opened(openat2(parent, name, flags, resolve=INSIDE)) as inner:
                empty(inner)
            os.rmdir(name, dir_fd=parent)
