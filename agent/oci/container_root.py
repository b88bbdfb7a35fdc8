# SPDX-License-Identifier: Apache-2.0
"""Files of a container, read by the agent as the container sees them.

The image, the volumes and a running container choose what is at a path. The kernel
therefore resolves links below the container's root (man 2 openat2), and only a regular
file is opened: the open of a fifo waits for a writer, the open of a device may act.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kata_agent.errors import InvalidArgument, InvalidState
from kata_agent.linux.openat2 import open_beneath, open_in_root
from kata_agent.oci.spec import Spec

FILE_LIMIT: Final = 1 << 20
"""Bytes that are read of a file at most."""


@dataclass(frozen=True, slots=True)
class ContainerRoot:
    """The root directory of a container, and the mounts that it does not show yet."""

    path: str
    """A directory, or the link `/proc/PID/root` of a running container's init."""
    mounts: Sequence[Spec] = ()
    """Of a container that is not made yet: the mounts of its spec, in their order."""

    def read(self, path: str) -> bytes:
        """Return a file; of a missing one, nothing.

        A file of more than `FILE_LIMIT` bytes is read up to its last whole line there.
        `path` is absolute. May block on a dead mount. Raises `InvalidArgument` for
        another kind of file and for one that cannot be read, and `InvalidState` if the
        root directory is gone.
        """
        try:
            descriptor = self._open(path)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise InvalidArgument(f"image file {path!r}: not read: {error}") from error
        try:
            return _read(descriptor, path)
        except OSError as error:
            raise InvalidArgument(f"image file {path!r}: not read: {error}") from error
        finally:
            os.close(descriptor)

    def _open(self, path: str) -> int:
        mount = self._mount_over(path)
        if mount is None:
            try:
                root = _open_path(self.path)
            except (FileNotFoundError, ProcessLookupError):
                raise InvalidState(f"root directory {self.path!r}: gone") from None
            try:
                return open_in_root(root, path, os.O_PATH)
            finally:
                os.close(root)
        if "source" not in mount or not _is_bind(mount):
            raise FileNotFoundError(path)
        source = _open_path(mount["source"])
        below = posixpath.relpath(path, _destination(mount))
        if below == ".":
            return source
        try:
            return open_beneath(source, below, os.O_PATH)
        finally:
            os.close(source)

    def _mount_over(self, path: str) -> Spec | None:
        """Return the mount that has `path`: the last one at it or above it."""
        for mount in reversed(self.mounts):
            destination = _destination(mount)
            if posixpath.commonpath((destination, path)) == destination:
                return mount
        return None


def _destination(mount: Spec) -> str:
    return posixpath.normpath(f"/{mount['destination'].lstrip('/')}")


def _is_bind(mount: Spec) -> bool:
    options = mount.get("options", ())
    return mount.get("type") == "bind" or "bind" in options or "rbind" in options


def _open_path(path: str) -> int:
    return os.open(path, os.O_PATH | os.O_CLOEXEC)


def _read(descriptor: int, path: str) -> bytes:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise InvalidArgument(f"image file {path!r}: not a regular file")
    # O_NONBLOCK: a process of the container may hold a lease (man 2 fcntl).
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC
    with open(os.open(f"/proc/self/fd/{descriptor}", flags), "rb") as file:
        # Files of procfs, some of which block, have the size 0.
        data = file.read(min(status.st_size, FILE_LIMIT))
    if status.st_size > FILE_LIMIT:
        # A line that is cut would have other numbers.
        return data[: data.rfind(b"\n") + 1]
    return data
