# SPDX-License-Identifier: Apache-2.0
"""The registry's entry of one guest, locked by the process that holds the guest."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from dataclasses import asdict
from typing import Self

from kata_host.guest.guest_entry import GuestEntry
from kata_host.guest.registry import GuestExists, directory_of, path_of


class HeldEntry:
    """An entry that this process has locked, until `close` or the process's end."""

    def __init__(self, name: str) -> None:
        """Lock the entry. Raises `GuestExists` if another process has locked it."""
        self._path = path_of(name)
        self._directory = directory_of(name)
        while True:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(self._fd)
                raise GuestExists(f"guest '{name}': already exists") from None
            if self._is_current():
                return
            os.close(self._fd)

    def _is_current(self) -> bool:
        """Return False if the file was removed between opening and locking it."""
        try:
            return os.path.samestat(os.fstat(self._fd), os.stat(self._path))
        except FileNotFoundError:
            return False

    @property
    def is_empty(self) -> bool:
        """Whether the entry has never been written."""
        return not os.fstat(self._fd).st_size

    def write(self, entry: GuestEntry) -> None:
        """Replace the content of the entry."""
        content = json.dumps(asdict(entry)).encode()
        # Whoever reads meanwhile has one content or the other, with spaces at its end.
        os.pwrite(self._fd, content.ljust(os.fstat(self._fd).st_size), 0)
        os.ftruncate(self._fd, len(content))

    def remove_directory(self) -> None:
        """Remove the guest's directory, and keep the entry."""
        shutil.rmtree(self._directory, ignore_errors=True)

    def remove(self) -> None:
        """Remove the entry and the guest's directory."""
        self.remove_directory()
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Release the lock."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
