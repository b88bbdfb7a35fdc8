# SPDX-License-Identifier: Apache-2.0
"""Programs that commands start in containers, so that none outlives its command.

    CONTAINER/execs/ID    locked (man 2 flock) while the command lives

An agent does not notice the end of a command, and a program may wait for its input for
ever. The file of a command that was killed has no lock, and the next command kills the
program (`kata_host.keeper.sweep`). A file that says so is of a program that cleans up
at the end of its input, which it gets first.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kata_host.client.identifier import new_id
from kata_host.keeper.record import ContainerRecord
from kata_host.keeper.records import folder_of

FOLDER: Final = "execs"
_CLEANS_UP: Final = b"cleans up"


@contextlib.contextmanager
def held_exec(
    record: ContainerRecord | None, *, cleans_up: bool = False
) -> Iterator[str]:
    """Have an id for a program in the container of `record` during the block.

    The host keeps nothing of the programs in a container that it has no record of.
    """
    id = new_id("exec")
    if record is None:
        yield id
        return
    path = folder_of(record.guest, record.id) / FOLDER / id
    fd = _locked(path)
    if fd is not None and cleans_up:
        os.write(fd, _CLEANS_UP)
    try:
        yield id
    finally:
        path.unlink(missing_ok=True)
        if fd is not None:
            os.close(fd)


def _locked(path: Path) -> int | None:
    """Make and lock the file; None if the container is being removed."""
    with contextlib.suppress(FileNotFoundError):
        path.parent.mkdir(exist_ok=True)
        while True:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(fd, fcntl.LOCK_EX)
            if _is_at(path, fd):
                return fd
            os.close(fd)
    return None


def _is_at(path: Path, fd: int) -> bool:
    """Return False if another command removed the file before it was locked."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def abandoned_in(guest: str, container: str) -> list[Path]:
    """Return the files, named by ids, of the programs whose command was killed."""
    folder = folder_of(guest, container) / FOLDER
    try:
        paths = [folder / name for name in os.listdir(folder)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [path for path in paths if _is_abandoned(path)]


def cleans_up(path: Path) -> bool:
    """Tell whether a file is of a program that cleans up when its input ends."""
    try:
        return path.read_bytes() == _CLEANS_UP
    except FileNotFoundError:
        return False


def _is_abandoned(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
