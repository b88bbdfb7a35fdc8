# SPDX-License-Identifier: Apache-2.0
"""The file of a unix socket: its rights, and its removal in the end."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import stat
from typing import NamedTuple


class SocketFile(NamedTuple):
    """The file that a listening unix socket has in the file system."""

    path: str
    inode: int

    @classmethod
    def of(cls, sock: socket.socket) -> SocketFile | None:
        """Return the file of a socket; None if it has none, or none any more."""
        name = sock.getsockname()
        # A name of the abstract namespace is bytes; a socket without a name has "".
        if sock.family != socket.AF_UNIX or not name or isinstance(name, bytes):
            return None
        try:
            return cls(name, os.stat(name).st_ino)
        except OSError:
            return None

    def remove(self) -> None:
        """Remove the file, unless another one has been put in its place."""
        with contextlib.suppress(OSError):
            if os.stat(self.path).st_ino == self.inode:
                os.unlink(self.path)


def set_rights(path: str, mode: int | None, owner: tuple[int, int] | None) -> None:
    """Set the mode and the owner of the file of a socket that has just been bound.

    By a handle of the file and not by its name, because whoever may write to the
    directory could put a link there, or the name of another program's socket.

    Args:
        mode: Permissions; None leaves them.
        owner: User id and group id, -1 leaves one; None leaves both.

    Raises:
        OSError: ESTALE if another file is there now, or the kernel's.
    """
    if mode is None and owner is None:
        return
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(fd)
        if not stat.S_ISSOCK(found.st_mode) or found.st_nlink != 1:
            raise OSError(errno.ESTALE, "replaced by another file", path)
        # fchown and fchmod take no such handle (man 2 open, O_PATH); its link works.
        handle = f"/proc/self/fd/{fd}"
        if owner is not None:
            os.chown(handle, *owner)
        if mode is not None and stat.S_IMODE(found.st_mode) != mode:
            os.chmod(handle, mode)
    finally:
        os.close(fd)
