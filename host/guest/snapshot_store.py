# SPDX-License-Identifier: Apache-2.0
"""The snapshots of one image: `<image>/snapshots/KEY`, and a lock for making them.

    the state of a VM | 32 bytes, SHA-256 of the state

A key is the digest of all that the state depends on. A file has its name only once it
is whole, and none before (man 2 open, `O_TMPFILE`), so a maker that is killed leaves
nothing. The files go with their image, because they are in its directory.

An empty file stands for a snapshot that could not be made or used, which is tried again
after a while.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import mmap
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from kata_host.guest.guest import GuestError

KEPT: Final = 4
"""Snapshots of an image; the longest unused goes first."""
RETRY_AFTER: Final = 600.0
"""Seconds until a snapshot is made again that was of no use."""
LOCK: Final = "lock"
_LOCK_INTERVAL: Final = 0.05
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""A fifo must not hold the start up."""
_DIGEST_SIZE: Final = hashlib.sha256().digest_size


class SnapshotError(GuestError):
    """There is no snapshot that can be used."""


class SnapshotStore:
    """The snapshots in `directory`, which is made with the first of them."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def open(
        self, key: str, save: Callable[[int], None], is_given_up: Callable[[], bool]
    ) -> int:
        """Return a descriptor of a snapshot, at its start.

        If there is none, `save` makes it, while others wait. `is_sound` has to be
        asked before it is used. Raises `SnapshotError`, `OSError`, and what `save`
        raises.
        """
        if (fd := self._find(key)) is not None:
            return fd
        self._directory.mkdir(mode=0o700, exist_ok=True)
        with self._locked(is_given_up):
            if (fd := self._find(key)) is not None:
                return fd
            try:
                return self._make(key, save)
            except GuestError:
                if not is_given_up():
                    self._put_mark(key)
                raise
            finally:
                self._remove_old()

    def remove(self, key: str) -> None:
        """Remove a snapshot that is not sound."""
        (self._directory / key).unlink(missing_ok=True)

    def refuse(self, key: str) -> None:
        """Remember that a snapshot is of no use, although it is sound."""
        self.remove(key)
        with contextlib.suppress(FileExistsError):
            self._put_mark(key)

    def _find(self, key: str) -> int | None:
        """Open the snapshot, or return None if it is to be made."""
        path = self._directory / key
        try:
            fd = os.open(path, _READ)
        except FileNotFoundError:
            return None
        try:
            status = os.fstat(fd)
            _check_owner(path, status)
            if status.st_size:
                os.utime(fd)
                return fd
            if time.time() - status.st_mtime < RETRY_AFTER:
                raise SnapshotError(f"snapshot {path}: was of no use a moment ago")
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
        return None

    def _make(self, key: str, save: Callable[[int], None]) -> int:
        fd = os.open(self._directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            save(fd)
            os.lseek(fd, 0, os.SEEK_END)
            os.write(fd, _digest(fd, os.fstat(fd).st_size))
            os.lseek(fd, 0, os.SEEK_SET)
            self.remove(key)  # A mark that is old enough.
            self._link(fd, key)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _link(self, fd: int, key: str) -> None:
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            # Only with a directory's descriptor does Python follow the link.
            os.link(f"/proc/self/fd/{fd}", key, dst_dir_fd=directory)
        finally:
            os.close(directory)

    def _put_mark(self, key: str) -> None:
        self.remove(key)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        os.close(os.open(self._directory / key, flags, 0o600))

    def _remove_old(self) -> None:
        snapshots = [path for path in self._directory.iterdir() if path.name != LOCK]
        snapshots.sort(key=lambda path: path.lstat().st_mtime_ns)
        for old in snapshots[:-KEPT]:
            old.unlink()

    @contextlib.contextmanager
    def _locked(self, is_given_up: Callable[[], bool]) -> Iterator[None]:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        lock = os.open(self._directory / LOCK, flags, 0o600)
        try:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    # A lock that is waited for cannot be given up.
                    if is_given_up():
                        raise SnapshotError("snapshot: given up") from None
                    time.sleep(_LOCK_INTERVAL)
            yield
        finally:
            os.close(lock)


def is_sound(fd: int) -> bool:
    """Return whether a snapshot is as it was made. Reads all of it, without the GIL."""
    size = os.fstat(fd).st_size - _DIGEST_SIZE
    return size > 0 and _digest(fd, size) == os.pread(fd, _DIGEST_SIZE, size)


def _digest(fd: int, size: int) -> bytes:
    with mmap.mmap(fd, size, prot=mmap.PROT_READ) as content:
        return hashlib.sha256(content).digest()


def _check_owner(path: Path, status: os.stat_result) -> None:
    """Refuse what another user can have written, or read: it holds random numbers."""
    is_ours = status.st_uid == os.geteuid() and not status.st_mode & 0o077
    if not (stat.S_ISREG(status.st_mode) and is_ours):
        raise SnapshotError(f"snapshot {path}: not a file of this user alone")
