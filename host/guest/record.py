# SPDX-License-Identifier: Apache-2.0
"""What is known of guests that outlive the command that started them.

    $XDG_RUNTIME_DIR/kata-agent/NAME         the guest's directory, with its sockets
    $XDG_RUNTIME_DIR/kata-agent/NAME.json    its record

The process that holds a guest (`holder.py`) has the record locked (man 2 flock) as
long as it lives. So a record that nobody has locked is of a guest that has ended: no
process id that belongs to somebody else by now can be mistaken for it.
"""

from __future__ import annotations

import enum
import fcntl
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final, Self

from kata_host.guest.guest import GuestError

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,31}")
"""Short, as a guest's sockets are below a directory of its name."""
_SUFFIX: Final = ".json"


class State(enum.Enum):
    """What a record and its lock say together."""

    STARTING = "starting"
    RUNNING = "running"
    ENDED = "ended"
    LOST = "lost"
    """Its holder was killed before it could say how the guest ended."""

    @property
    def is_held(self) -> bool:
        return self in (State.STARTING, State.RUNNING)


class GuestNotFound(GuestError):
    """There is no guest of that name."""


@dataclass(frozen=True, slots=True)
class Record:
    """A guest. `pid` is its holder's, `started` seconds since the epoch."""

    name: str
    kind: str
    """`local` or `vm`."""
    address: str = ""
    pid: int = 0
    started: float = 0
    ending: str = ""
    """One line, once it has ended by itself."""


class HeldRecord:
    """The record of one guest, locked by this process until the end."""

    def __init__(self, name: str) -> None:
        """Lock it. Raises `GuestError` when somebody holds a guest of that name."""
        self._path = path_of(name)
        self._directory = directory_of(name)
        while True:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._fd)
                raise GuestError(f"guest '{name}': exists already") from None
            if self._is_current():
                return
            os.close(self._fd)

    def _is_current(self) -> bool:
        """Whether the file that we locked was not removed just before."""
        try:
            return os.path.samestat(os.fstat(self._fd), os.stat(self._path))
        except FileNotFoundError:
            return False

    def write(self, record: Record) -> None:
        """Replace what is told about the guest."""
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, json.dumps(asdict(record)).encode(), 0)

    def remove(self) -> None:
        """Forget the guest, and remove what it has left."""
        shutil.rmtree(self._directory, ignore_errors=True)
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def runtime_directory() -> Path:
    """Return the directory of all records, made if need be.

    Raises `GuestError` if it could be somebody else's.
    """
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base:
        directory = Path(base, "kata-agent")
    elif os.geteuid() == 0:
        directory = Path("/run/kata-agent-guests")
    else:
        directory = Path(f"/tmp/kata-agent-{os.geteuid()}")
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        found = directory.lstat()
    except OSError as error:
        raise GuestError(f"{directory}: {error.strerror}") from error
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if not ours or found.st_mode & 0o022:
        raise GuestError(f"{directory}: not a directory that is ours alone")
    return directory


def check_name(name: str) -> None:
    """Raise `GuestError` unless `name` can name a guest."""
    if not NAME.fullmatch(name):
        raise GuestError(
            f"guest {name!r}: a name is up to 32 small letters, digits, '_', '.', '-'"
        )


def directory_of(name: str) -> Path:
    check_name(name)
    return runtime_directory() / name


def path_of(name: str) -> Path:
    check_name(name)
    return runtime_directory() / f"{name}{_SUFFIX}"


def find(name: str) -> tuple[Record, State]:
    """Return what is known of a guest. Raises `GuestNotFound`."""
    found = _read(path_of(name))
    if found is None:
        raise GuestNotFound(f"guest '{name}': not found")
    return found


def find_all() -> Iterator[tuple[Record, State]]:
    """Yield all guests, by name."""
    for path in sorted(runtime_directory().glob(f"*{_SUFFIX}")):
        if NAME.fullmatch(path.stem) and (found := _read(path)) is not None:
            yield found


def _read(path: Path) -> tuple[Record, State] | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    with open(fd, "rb") as file:
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            is_held = False
        except BlockingIOError:
            is_held = True
        record = _parse(path.stem, file.read())
    if is_held:
        return record, State.RUNNING if record.address else State.STARTING
    state = State.ENDED if record.ending else State.LOST
    return replace(record, address="", pid=0), state


def _parse(name: str, content: bytes) -> Record:
    try:
        return Record(**{**json.loads(content), "name": name})
    except (ValueError, TypeError):
        # Its holder was killed while it wrote, or is about to write.
        return Record(name, "?")
