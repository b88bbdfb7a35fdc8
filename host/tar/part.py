# SPDX-License-Identifier: Apache-2.0
"""A folder for what is not whole yet, beside the place where it goes.

    .kata-1f0a93c2b7d4e586    locked (man 2 flock) while its process lives

The lock of a process that was killed is gone, and the next copy to the same place
removes its folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
from pathlib import Path
from typing import Final, Self

_NAME: Final = re.compile(r"\.kata-[0-9a-f]{16}")
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def part_name() -> str:
    """Return a name that nothing else has, short beside any other."""
    return f".kata-{os.urandom(8).hex()}"


class Part:
    """A folder in `place`, from `make` to `remove`."""

    def __init__(self, place: Path) -> None:
        self.path = place / part_name()
        self._fd = -1

    def make(self) -> Self:
        """Make it, and remove those of processes that were killed. Raises `OSError`."""
        sweep(self.path.parent)
        while self._fd < 0:
            self.path.mkdir(mode=0o700)
            try:
                self._fd = _lock(self.path)
            except FileNotFoundError:
                pass  # Another process has removed it before it was locked.
            except OSError:
                self.path.rmdir()
                raise
        return self

    def remove(self) -> None:
        """Remove it with all that is in it; harmless if there is none."""
        if self._fd >= 0:
            shutil.rmtree(self.path)
            os.close(self._fd)


def sweep(place: Path) -> None:
    """Remove in a folder what processes of this user have left that were killed."""
    with os.scandir(place) as entries:
        names = [entry.name for entry in entries if _NAME.fullmatch(entry.name)]
    for name in names:
        # Another process may do the same.
        with contextlib.suppress(OSError):
            _remove_abandoned(place / name)


def _remove_abandoned(path: Path) -> None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open(path, flags)
    try:
        if os.fstat(fd).st_uid != os.geteuid():
            return
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    finally:
        os.close(fd)


def _lock(path: Path) -> int:
    """Lock a folder. Raises `FileNotFoundError` if it has been removed meanwhile."""
    fd = os.open(path, _DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        os.stat(path)
    except BaseException:
        os.close(fd)
        raise
    return fd
