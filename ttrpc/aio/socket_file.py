# SPDX-License-Identifier: Apache-2.0
"""The file of a unix socket, for a server to remove in the end."""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SocketFile:
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
