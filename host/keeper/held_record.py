# SPDX-License-Identifier: Apache-2.0
"""The record of one container, locked by whoever has the container's output."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final, Self

from kata_host.guest.guest import GuestError
from kata_host.guest.registry import directory_of
from kata_host.keeper.record import ContainerRecord
from kata_host.keeper.records import RECORD, folder_of, forget
from kata_host.scratch import Scratch

_TAKEN: Final = {errno.EEXIST, errno.ENOTEMPTY}


class HeldRecord:
    """A record that this process has locked, until `close` or the process's end.

    A child that inherits the descriptor has the lock too (man 2 flock).
    """

    def __init__(self, record: ContainerRecord, fd: int) -> None:
        self.record = record
        self.fd = fd

    @classmethod
    def create(cls, record: ContainerRecord) -> Self:
        """Make the folder of a new container, and lock its record.

        Raises `GuestError` if the guest has a container of that id.
        """
        folder = folder_of(record.guest, record.id)
        folder.parent.mkdir(mode=0o755, exist_ok=True)
        # The folder has its name with a record in it, so that none without has one.
        with Scratch("record", directory_of(record.guest)) as scratch:
            new = scratch / "new"
            new.mkdir()
            new.chmod(0o755)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            held = cls(record, os.open(new / RECORD, flags, 0o600))
            try:
                fcntl.flock(held.fd, fcntl.LOCK_EX)
                held.write()
                os.rename(new, folder)
            except BaseException as error:
                held.close()
                if isinstance(error, OSError) and error.errno in _TAKEN:
                    raise GuestError(
                        f"container '{record.id}': already exists in guest "
                        f"'{record.guest}' (kata-agent-ctl rm "
                        f"{record.guest}/{record.id}, or another --name)"
                    ) from None
                raise
        return held

    @property
    def folder(self) -> Path:
        return folder_of(self.record.guest, self.record.id)

    def write(self, **changes: Any) -> None:
        """Change fields of the record.

        The text is written before the file is cut to its length, so a reader finds a
        whole record, and perhaps the end of an older one.
        """
        self.record = replace(self.record, **changes)
        text = json.dumps(asdict(self.record)).encode()
        os.pwrite(self.fd, text, 0)
        os.ftruncate(self.fd, len(text))

    def remove(self) -> None:
        """Remove the folder, with all that is known of the container, and its disk."""
        forget(self.record.guest, self.record.id)

    def close(self) -> None:
        """Let go of the record. The lock stays with children that inherited it."""
        os.close(self.fd)
