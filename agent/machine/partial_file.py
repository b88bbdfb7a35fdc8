# SPDX-License-Identifier: Apache-2.0
"""A file that is being received: built under a temporary name beside its place."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, field

from kata_agent.linux.tree import remove_directory
from kata_agent.machine.ranges import Ranges, add_range

log = logging.getLogger(__name__)


@dataclass(slots=True)
class PartialFile:
    """Owns two descriptors until `finish` or `discard`. Everything blocks."""

    parent: int
    """The opened directory that the file belongs in."""
    name: str
    """The temporary name in that directory."""
    fd: int
    size: int
    """Bytes of the whole file."""
    received: Ranges = field(default_factory=list)

    @classmethod
    def create(cls, parent: int, size: int) -> PartialFile:
        """Create the file in `parent`, which is closed with it, also on failure."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            name = temporary_name()
            return cls(parent, name, os.open(name, flags, 0o600, dir_fd=parent), size)
        except BaseException:
            os.close(parent)
            raise

    def is_whole(self) -> bool:
        """Tell whether every byte has been written."""
        return self.size == 0 or self.received == [(0, self.size)]

    def has(self, offset: int) -> bool:
        """Tell whether the byte at `offset` has been written."""
        return any(start <= offset < end for start, end in self.received)

    def write(self, data: bytes, offset: int) -> None:
        """Write one chunk. Raises `OSError`."""
        end = offset
        view = memoryview(data)
        while view:
            written = os.pwrite(self.fd, view, end)
            end += written
            view = view[written:]
        self.received = add_range(self.received, offset, end)

    def finish(self, name: str, *, uid: int, gid: int, mode: int) -> None:
        """Rename the file to `name`, with its owner and its permission bits."""
        # In this order: a change of owner clears the set-user-ID bit.
        os.fchown(self.fd, uid, gid)
        os.fchmod(self.fd, mode)
        put_in_place(self.parent, self.name, name)
        self._close()

    def discard(self) -> None:
        """Remove the file; a failure is logged."""
        try:
            os.unlink(self.name, dir_fd=self.parent)
        except OSError as error:
            log.warning("partial file not removed", extra={"error": str(error)})
        self._close()

    def _close(self) -> None:
        os.close(self.fd)
        os.close(self.parent)


def temporary_name() -> str:
    """Return a random name, so that no container can guess it and take it first."""
    return f".copy-{os.urandom(8).hex()}"


def put_in_place(parent: int, temporary: str, name: str) -> None:
    """Rename `temporary` to `name`, over whatever has it, even a whole directory."""
    try:
        os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
    except IsADirectoryError:
        remove_directory(parent, name)
        os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
