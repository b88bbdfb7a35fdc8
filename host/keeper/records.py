# SPDX-License-Identifier: Apache-2.0
"""The records of containers, by guest and id."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kata_host.guest import registry
from kata_host.guest.qmp import QmpError
from kata_host.guest.vm_command import Sockets
from kata_host.guest.vm_disks import LINK, remove_unused_disks
from kata_host.keeper.record import ContainerRecord, ContainerState
from kata_host.scratch import Scratch

FOLDER: Final = "containers"
RECORD: Final = "record.json"
RECORD_LIMIT: Final = 4 << 20
"""Bytes of a record; its command and environment are those of one call."""


def folder_of(guest: str, container: str) -> Path:
    """Return the path of a container's folder, which may not exist."""
    return registry.directory_of(guest) / FOLDER / container


def find_in(guest: str) -> Iterator[tuple[ContainerRecord, ContainerState]]:
    """Yield the containers of a guest, the oldest first. Raises `GuestError`."""
    folder = registry.directory_of(guest) / FOLDER
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        names = []
    found = [read(guest, name) for name in names]
    yield from sorted(filter(None, found), key=lambda each: each[0].created)


def find_all() -> Iterator[tuple[ContainerRecord, ContainerState]]:
    """Yield the containers of every guest that runs. Raises `GuestError`."""
    if not registry.runtime_path().is_dir():
        return
    for entry, state in registry.find_all():
        if state.is_held:
            yield from find_in(entry.name)


def read(guest: str, container: str) -> tuple[ContainerRecord, ContainerState] | None:
    """Return a container's record and state, or None if there is no such record."""
    try:
        fd = os.open(
            folder_of(guest, container) / RECORD,
            os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW,
        )
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        return read_open(fd)
    finally:
        os.close(fd)


def read_open(fd: int) -> tuple[ContainerRecord, ContainerState] | None:
    """Return what `read` does, of a record that is open, and may be removed by now."""
    is_held = _is_locked(fd)
    record = parse_open(fd)
    if record is None:
        # Its command has not written it yet, or was killed before.
        return None
    if not is_held and (record.remove or not record.has_ended):
        # One that has ended, too, if its command was killed before it removed that.
        return record, ContainerState.LOST
    if record.has_ended:
        return record, ContainerState.EXITED
    return record, ContainerState.RUNNING if record.started else ContainerState.CREATED


def parse_open(fd: int) -> ContainerRecord | None:
    """Return the record alone, for its holder, whose lock a look at it would end."""
    return _parse(os.pread(fd, RECORD_LIMIT, 0))


def forget(guest: str, container: str) -> None:
    """Remove the folder of a container that the agent has no more, and its disk.

    Blocks.
    """
    folder = folder_of(guest, container)
    has_disk = os.path.lexists(folder / LINK)
    # Another process may have removed it, or the whole guest.
    with contextlib.suppress(FileNotFoundError):
        # Renamed first: a removal that is cut short leaves no folder without a record.
        with Scratch("record", registry.directory_of(guest)) as scratch:
            folder.rename(scratch / "old")
    if has_disk:
        # Of a VM that ends meanwhile nothing is left.
        with contextlib.suppress(QmpError):
            remove_unused_disks(Sockets(registry.directory_of(guest)).qmp)


def _is_locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(fd, fcntl.LOCK_UN)
    return False


def _parse(content: bytes) -> ContainerRecord | None:
    try:
        # A longer record, which was there before, may still be behind this one.
        fields, _ = json.JSONDecoder().raw_decode(content.decode(errors="replace"))
        return ContainerRecord(**fields)
    except (ValueError, TypeError):
        return None
