# SPDX-License-Identifier: Apache-2.0
"""Temporary directories that are removed however their process ends.

    /tmp/kata-guest.1f0a93c2/.lock     locked (man 2 flock) while its process lives

The kernel releases the lock when the process ends in any way. A directory whose file is
not locked is therefore of a process that was killed, and whoever makes a directory next
removes it. The lock is not the directory's own, which a server takes that makes its
socket there (`ttrpc.aio.listen`).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from pathlib import Path
from typing import Final

from kata_host.interruption import INTERRUPTION

_NAME: Final = re.compile(r"\.?kata-[a-z]+\.[0-9a-f]{8}")
_LOCK: Final = ".lock"
_NEW: Final = "."
"""Before the name of a directory that is not locked yet."""


class Scratch:
    """A directory of its own for one purpose, such as `guest`."""

    def __init__(self, purpose: str, top: Path | None = None) -> None:
        """Choose the name of a directory in `top`, by default where $TMPDIR says."""
        self.path = (top or _top()) / f"kata-{purpose}.{os.urandom(4).hex()}"
        self._fd: int | None = None

    def make(self) -> Path:
        """Make the directory, and remove those of processes that were killed.

        Raises `OSError`.
        """
        sweep(self.path.parent)
        new = self.path.with_name(_NEW + self.path.name)
        with INTERRUPTION.uninterrupted():
            while self._fd is None:
                new.mkdir(mode=0o700)
                # Another process may remove it before it is locked.
                with contextlib.suppress(FileNotFoundError):
                    self._fd = _lock_and_rename(new, self.path)
        return self.path

    def remove(self) -> None:
        """Remove the directory with all that is in it; harmless if there is none."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        import shutil

        with INTERRUPTION.uninterrupted():
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(fd)

    def __enter__(self) -> Path:
        return self.make()

    def __exit__(self, *exc_info: object) -> None:
        self.remove()


def is_any_in(top: Path) -> bool:
    """Tell whether a process has a directory in `top`, or was killed while it had."""
    try:
        with os.scandir(top) as entries:
            return any(_NAME.fullmatch(entry.name) for entry in entries)
    except OSError:
        return False


def sweep(top: Path | None = None) -> None:
    """Remove the directories in `top` of this user's processes that were killed."""
    with os.scandir(top or _top()) as entries:
        found = [entry.path for entry in entries if _NAME.fullmatch(entry.name)]
    for path in found:
        # A directory that is not there any more was removed by its owner.
        with contextlib.suppress(OSError):
            _remove_if_unlocked(path)


def _top() -> Path:
    # Not by `tempfile`, which takes milliseconds to import.
    top = Path(os.environ.get("TMPDIR", "/tmp"))
    return top if top.is_dir() else Path("/tmp")


def _lock_and_rename(new: Path, path: Path) -> int:
    fd = _open_lock(new / _LOCK)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        new.rename(path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _remove_if_unlocked(path: str) -> None:
    import shutil

    directory = os.open(
        path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    )
    try:
        if os.fstat(directory).st_uid != os.geteuid():
            return
        fd = _open_lock(_LOCK, directory)
    finally:
        os.close(directory)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    except BlockingIOError:
        return
    finally:
        os.close(fd)


def _open_lock(path: str | Path, directory: int | None = None) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(path, flags, 0o600, dir_fd=directory)
