# SPDX-License-Identifier: Apache-2.0
"""A layer as a directory for `lowerdir` of overlayfs (filesystems/overlayfs.rst).

What a layer hides is a character device 0:0 or, for the content of a directory, an
attribute. Every name is used through the descriptor of its directory, and no link is
followed, so a layer reaches nothing but its own directory.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Self

from kata_host.image.errors import ImageError
from kata_host.image.layer_sink import Attributes

OPAQUE_XATTR: Final = "trusted.overlay.opaque"
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class LayerDirectory:
    """Makes entries in `directory`, an empty one; a context manager.

    Only root can: for another user, owners could not be kept (`ErofsImage` keeps
    them).
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._top = -1
        self._around: tuple[str, int] = ("", -1)
        """The directory that was used last, and its descriptor."""
        self._times: dict[str, int] = {}

    def __enter__(self) -> Self:
        if os.geteuid():
            raise ImageError(
                f"layer directory {self._directory}: needs root to keep owners"
            )
        self._top = os.open(self._directory, _DIRECTORY)
        os.fchmod(self._top, 0o755)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._forget()
        os.close(self._top)

    def make_directory(self, path: str, attributes: Attributes) -> None:
        if path:
            parent, name = self._parent_of(path)
            mode = self._mode(parent, name)
            if mode is not None and not stat.S_ISDIR(mode):
                self._remove(parent, name)
                mode = None
            if mode is None:
                os.mkdir(name, 0o700, dir_fd=parent)
        descriptor = self._open(path)
        try:
            _set(descriptor, attributes)
        finally:
            os.close(descriptor)
        # Later entries change the time.
        self._times[path] = attributes.mtime_ns

    def make_file(
        self, path: str, attributes: Attributes, chunks: Iterable[bytes]
    ) -> None:
        parent, name = self._cleared(path)
        with open(os.open(name, _NEW_FILE, 0o600, dir_fd=parent), "wb", 0) as file:
            for data in chunks:
                view = memoryview(data)
                while view:
                    view = view[file.write(view) :]
            _set(file.fileno(), attributes)

    def make_symlink(self, path: str, attributes: Attributes, target: str) -> None:
        parent, name = self._cleared(path)
        os.symlink(target, name, dir_fd=parent)
        _set_at(parent, name, attributes)

    def make_fifo(self, path: str, attributes: Attributes) -> None:
        parent, name = self._cleared(path)
        os.mkfifo(name, 0o600, dir_fd=parent)
        _set_at(parent, name, attributes)
        os.chmod(name, attributes.mode, dir_fd=parent)

    def make_hard_link(self, path: str, target: str) -> None:
        around, _, existing = target.rpartition("/")
        source = self._open(around)
        try:
            mode = self._mode(source, existing)
            if mode is None:
                raise ImageError(f"hard link to {target!r:.200}: not in this layer")
            if stat.S_ISDIR(mode):
                raise ImageError(f"hard link to {target!r:.200}: a directory")
            parent, name = self._cleared(path)
            os.link(
                existing,
                name,
                src_dir_fd=source,
                dst_dir_fd=parent,
                follow_symlinks=False,
            )
        finally:
            os.close(source)

    def hide(self, path: str) -> None:
        parent, name = self._parent_of(path)
        mode = self._mode(parent, name)
        if mode is None:
            os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=parent)
        elif stat.S_ISDIR(mode):
            self.hide_below(path)

    def hide_below(self, path: str) -> None:
        directory, _ = self._parent_of(f"{path}/." if path else ".")
        os.setxattr(directory, OPAQUE_XATTR, b"y")

    def finish_layer(self) -> None:
        for path, time in self._times.items():
            try:
                descriptor = self._open(path)
            except ImageError:
                continue  # A later entry has replaced the directory.
            os.utime(descriptor, ns=(time, time))
            os.close(descriptor)

    def _cleared(self, path: str) -> tuple[int, str]:
        """Return a place for a new entry; what has been there is removed."""
        parent, name = self._parent_of(path)
        self._remove(parent, name)
        return parent, name

    def _remove(self, parent: int, name: str) -> None:
        mode = self._mode(parent, name)
        if mode is None:
            return
        if stat.S_ISDIR(mode):
            shutil.rmtree(name, dir_fd=parent)
        else:
            os.unlink(name, dir_fd=parent)

    def _mode(self, parent: int, name: str) -> int | None:
        try:
            return os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode
        except FileNotFoundError:
            return None

    def _parent_of(self, path: str) -> tuple[int, str]:
        """Return the descriptor of the directory around `path`, made if need be."""
        around, _, name = path.rpartition("/")
        if not around:
            # The entry may replace the directory that was used last.
            self._forget()
            return self._top, name
        if self._around[0] != around:
            self._forget()
            self._around = (around, self._open(around, make=True))
        return self._around[1], name

    def _forget(self) -> None:
        if self._around[0]:
            os.close(self._around[1])
            self._around = ("", -1)

    def _open(self, path: str, *, make: bool = False) -> int:
        """Open a directory step by step, through no link. Raises `ImageError`."""
        descriptor = os.dup(self._top)
        for part in path.split("/") if path else ():
            try:
                if make and self._mode(descriptor, part) is None:
                    os.mkdir(part, 0o755, dir_fd=descriptor)
                    # The umask has cut the mode.
                    os.chmod(part, 0o755, dir_fd=descriptor)
                following = os.open(part, _DIRECTORY, dir_fd=descriptor)
            except (NotADirectoryError, FileNotFoundError) as error:
                raise ImageError(
                    f"{part!r:.200} in {path!r:.200}: no directory"
                ) from error
            finally:
                os.close(descriptor)
            descriptor = following
        return descriptor


def _set(descriptor: int, attributes: Attributes) -> None:
    # In this order: chown clears set-id bits and capabilities.
    os.fchown(descriptor, attributes.uid, attributes.gid)
    os.fchmod(descriptor, attributes.mode)
    for name, value in attributes.xattrs.items():
        os.setxattr(descriptor, name, value)
    os.utime(descriptor, ns=(attributes.mtime_ns, attributes.mtime_ns))


def _set_at(parent: int, name: str, attributes: Attributes) -> None:
    """Set the attributes of what cannot be opened: a link, a fifo."""
    os.chown(name, attributes.uid, attributes.gid, dir_fd=parent, follow_symlinks=False)
    time = attributes.mtime_ns
    os.utime(name, ns=(time, time), dir_fd=parent, follow_symlinks=False)
