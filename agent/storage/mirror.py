# SPDX-License-Identifier: Apache-2.0
"""A copy of a small tree of files, brought up to date when the original changes.

Both sides are hostile: containers may have the copy writable and put symlinks
in it, and the original may be a container's volume. So both are opened beneath
their roots without following any symlink; symlinks are copied as such.

The order of an update is that of Kubernetes' own volumes: files first, then the
links that point at them, each replaced in one step, and removals last. So a
reader never sees a link to what is not there yet.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Final

from kata_agent.errors import AgentError
from kata_agent.linux.beneath import is_directory, opened
from kata_agent.linux.openat2 import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from kata_agent.linux.tree import empty, walk
from kata_agent.storage.mount_point import Place, make_place, open_source, remove_tree
from kata_agent.system_paths import SystemPaths

MAX_ENTRIES: Final = 16
"""Files and links; directories do not count."""
MAX_BYTES: Final = 1 << 20
INSIDE: Final = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS


class TooLarge(AgentError):
    """The original is too large to be copied over and over."""


@dataclass(frozen=True, slots=True)
class Original:
    """What there is to see of one file; another value means another content."""

    mode: int
    uid: int
    gid: int
    size: int
    modified_ns: int
    inode: int
    target: str = ""
    """Of a symlink."""

    @property
    def rank(self) -> int:
        """The order of creation: directories, files, links."""
        if stat.S_ISDIR(self.mode):
            return 0
        return 2 if stat.S_ISLNK(self.mode) else 1

    def is_same(self, other: Original | None) -> bool:
        """Compare, but directories without times: those change with their entries."""
        if other is None or stat.S_IFMT(other.mode) != stat.S_IFMT(self.mode):
            return False
        if stat.S_ISDIR(self.mode):
            return (self.mode, self.uid, self.gid) == (other.mode, other.uid, other.gid)
        return self == other


class Mirror:
    """Keeps `place` like `source`, a directory or one file. Everything blocks."""

    def __init__(self, paths: SystemPaths, place: Place, source: str) -> None:
        self._paths = paths
        self._place = place
        self._source = source
        self._copied: dict[str, Original] = {}
        self._numbers = itertools.count()

    def update(self) -> None:
        """Copy what has changed. Raises `TooLarge`, before anything is copied."""
        with opened(open_source(self._paths, self._source)) as source:
            if is_directory(source):
                self._update_tree(source)
            else:
                self._update_file(source)

    def remove(self) -> None:
        """Remove the copy."""
        remove_tree(self._place)

    def _update_file(self, source: int) -> None:
        """Write into the same file: who has it mounted holds on to its inode."""
        now = _look(source)
        if now.size > MAX_BYTES:
            raise TooLarge(f"{now.size} bytes")
        if now.is_same(self._copied.get("")):
            return
        with opened(os.open(f"/proc/self/fd/{source}", os.O_RDONLY)) as file:
            content = _read(file)
        self._make(directory=False)
        with self._place.opened(os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW) as copy:
            _write(copy, content, now)
        self._copied = {"": now}

    def _make(self, *, directory: bool) -> None:
        os.close(make_place(self._place, ExitStack(), directory=directory))

    def _update_tree(self, source: int) -> None:
        now = _survey(source)
        self._make(directory=True)
        with self._place.opened(os.O_RDONLY | os.O_DIRECTORY) as copy:
            for path, original in sorted(now.items(), key=lambda item: item[1].rank):
                before = self._copied.get(path)
                if original.is_same(before):
                    continue
                if before and stat.S_IFMT(before.mode) != stat.S_IFMT(original.mode):
                    _remove(copy, path)
                self._copy(source, copy, path, original)
                self._copied[path] = original
            for path in sorted(self._copied.keys() - now.keys(), reverse=True):
                _remove(copy, path)
                del self._copied[path]

    def _copy(self, source: int, copy: int, path: str, original: Original) -> None:
        with opened(_open_parent(copy, path)) as parent:
            name = os.path.basename(path)
            if stat.S_ISDIR(original.mode):
                with suppress(FileExistsError):
                    os.mkdir(name, 0o700, dir_fd=parent)
                flags = os.O_RDONLY | os.O_DIRECTORY
                with opened(openat2(parent, name, flags, resolve=INSIDE)) as made:
                    os.fchown(made, original.uid, original.gid)
                    os.fchmod(made, stat.S_IMODE(original.mode))
                return
            fresh = f".new-{next(self._numbers)}"
            if stat.S_ISLNK(original.mode):
                os.symlink(original.target, fresh, dir_fd=parent)
            else:
                flags = os.O_RDONLY | os.O_NONBLOCK
                with opened(openat2(source, path, flags, resolve=INSIDE)) as file:
                    content = _read(file)
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                with opened(os.open(fresh, flags, 0o600, dir_fd=parent)) as made:
                    _write(made, content, original)
            os.rename(fresh, name, src_dir_fd=parent, dst_dir_fd=parent)


def _survey(source: int) -> dict[str, Original]:
    """Look at every file, directory and link below the original."""
    found = {}
    entries = size = 0
    for path, entry in walk(source):
        original = _look(entry)
        if stat.S_ISDIR(original.mode):
            found[path] = original
            continue
        if not stat.S_ISREG(original.mode) and not stat.S_ISLNK(original.mode):
            continue
        found[path] = original
        entries += 1
        size += original.size
        if entries > MAX_ENTRIES or size > MAX_BYTES:
            raise TooLarge(f"more than {MAX_ENTRIES} files or {MAX_BYTES} bytes")
    return found


def _look(entry: int) -> Original:
    status = os.fstat(entry)
    link = stat.S_ISLNK(status.st_mode)
    return Original(
        mode=status.st_mode,
        uid=status.st_uid,
        gid=status.st_gid,
        size=status.st_size,
        modified_ns=status.st_mtime_ns,
        inode=status.st_ino,
        target=os.readlink("", dir_fd=entry) if link else "",
    )


def _open_parent(root: int, path: str) -> int:
    flags = os.O_PATH | os.O_DIRECTORY
    return openat2(root, os.path.dirname(path) or ".", flags, resolve=INSIDE)


def _read(file: int) -> bytes:
    """Read a whole file, which may have grown since it was looked at."""
    chunks = []
    left = MAX_BYTES + 1
    while left and (chunk := os.read(file, left)):
        chunks.append(chunk)
        left -= len(chunk)
    if not left:
        raise TooLarge(f"more than {MAX_BYTES} bytes")
    return b"".join(chunks)


def _write(file: int, content: bytes, original: Original) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]
    os.fchown(file, original.uid, original.gid)
    os.fchmod(file, stat.S_IMODE(original.mode))
    os.utime(file, ns=(original.modified_ns, original.modified_ns))


def _remove(root: int, path: str) -> None:
    """Remove `path` from the copy, whatever a container has made of it."""
    name = os.path.basename(path)
    try:
        directory = _open_parent(root, path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            # What was around it is something else by now, and it is gone with that.
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
