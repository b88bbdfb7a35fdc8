# SPDX-License-Identifier: Apache-2.0
"""The guests of this user that outlive the command that started them.

    $XDG_RUNTIME_DIR/kata-agent/NAME         the guest's directory, with its sockets
    $XDG_RUNTIME_DIR/kata-agent/NAME.json    the guest's entry

The process that holds a guest (`holder.py`) locks the guest's entry (man 2 flock) for
as long as the process lives. An entry without a lock is therefore of a guest
that has ended, and a pid that the kernel has given to another process since then is
never mistaken for the holder's.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from kata_host.errors import NotFound
from kata_host.guest.guest import GuestError
from kata_host.guest.guest_entry import GuestEntry, GuestState

NAME: Final = re.compile(r"[a-z0-9][a-z0-9_.-]{0,31}")
"""A name is short because the paths of the guest's sockets contain it."""
_SUFFIX: Final = ".json"


class GuestNotFound(GuestError, NotFound):
    """The registry has no guest of that name."""


class GuestExists(GuestError):
    """The registry has a guest of that name, which runs."""


def runtime_path() -> Path:
    """Return the path of the directory of all entries, which may not exist yet."""
    base = os.environ.get("XDG_RUNTIME_DIR", "")
    # A relative path is invalid and ignored (XDG Base Directory Specification).
    if os.path.isabs(base):
        return Path(base, "kata-agent")
    if os.geteuid() == 0:
        return Path("/run/kata-agent-guests")
    return Path(f"/tmp/kata-agent-{os.geteuid()}")


def runtime_directory() -> Path:
    """Return the directory of all entries; make it if it does not exist.

    Raises `GuestError` if another user owns the directory or can write to it.
    """
    directory = runtime_path()
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        status = directory.lstat()
    except OSError as error:
        raise GuestError(f"{directory}: {error.strerror}") from error
    is_own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
    if not is_own or status.st_mode & 0o022:
        raise GuestError(f"{directory}: not a directory of this user alone")
    return directory


def check_name(name: str) -> None:
    """Raise `GuestError` unless `name` can name a guest."""
    if not NAME.fullmatch(name):
        raise GuestError(
            f"guest {name!r}: invalid name, allowed are up to 32 lower-case letters, "
            "digits, '_', '.' and '-'"
        )


def directory_of(name: str) -> Path:
    """Return the path of the guest's directory. Raises `GuestError`."""
    check_name(name)
    return runtime_directory() / name


def path_of(name: str) -> Path:
    """Return the path of the guest's entry. Raises `GuestError`."""
    check_name(name)
    return runtime_directory() / f"{name}{_SUFFIX}"


def find(name: str) -> tuple[GuestEntry, GuestState]:
    """Return the entry and the state of a guest. Raises `GuestNotFound`."""
    found = _read(path_of(name))
    if found is None:
        raise GuestNotFound(f"guest '{name}': not found")
    return found


def find_all() -> Iterator[tuple[GuestEntry, GuestState]]:
    """Yield every guest, sorted by name. Raises `GuestError`."""
    for path in sorted(runtime_directory().glob(f"*{_SUFFIX}")):
        if NAME.fullmatch(path.stem) and (found := _read(path)) is not None:
            yield found


def _read(path: Path) -> tuple[GuestEntry, GuestState] | None:
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
        entry = _parse(path.stem, file.read())
    if is_held:
        return entry, GuestState.RUNNING if entry.address else GuestState.STARTING
    state = GuestState.ENDED if entry.ending else GuestState.LOST
    return replace(entry, address="", pid=0), state


def _parse(name: str, content: bytes) -> GuestEntry:
    try:
        return GuestEntry(**{**json.loads(content), "name": name})
    except (ValueError, TypeError):
        # The holder has not written the entry yet, or was killed while writing.
        return GuestEntry(name, "?")
