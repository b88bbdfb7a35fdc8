# SPDX-License-Identifier: Apache-2.0
"""Mount points: paths that are confined to the sandbox's directories.

A container may put symlinks into those directories. So every path is resolved by the
kernel beneath its root, at each use. Functions that create something tell an `Undo`.
Everything here but `parse_mount_point`, `find_mount_point` and `root_of` blocks.
"""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kata_agent.errors import InvalidArgument
from kata_agent.linux.beneath import (
    make_directories,
    make_file,
    open_directory,
    open_parent,
    opened,
    proc_path,
    remove_directories,
)
from kata_agent.linux.openat2 import open_beneath
from kata_agent.linux.tree import remove_directory
from kata_agent.system_paths import SystemPaths
from kata_agent.undo import Undo

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MountPoint:
    """A path below one of the sandbox's directories. It need not exist."""

    root: Path
    path: str
    """Relative to `root`, without `.` and `..`."""

    def __str__(self) -> str:
        return f"{self.root}/{self.path}"

    @property
    def name(self) -> str:
        """The last part of the path."""
        return os.path.basename(self.path)

    @contextmanager
    def opened_root(self) -> Iterator[int]:
        """Open the root. In the block, a path that leads out is `InvalidArgument`."""
        with opened(open_directory(os.fspath(self.root))) as root:
            try:
                yield root
            except OSError as error:
                if error.errno in (errno.EXDEV, errno.ELOOP):
                    raise InvalidArgument(
                        f"path {str(self)!r}: leads out of {self.root}"
                    ) from error
                raise

    @contextmanager
    def opened_parent(self) -> Iterator[int]:
        """Open the directory around the mount point. Raises as `opened` does."""
        with self.opened_root() as root, opened(open_parent(root, self.path)) as parent:
            if "/" in self.path:
                self.check_directory(root, parent)
            yield parent

    @contextmanager
    def opened(self, flags: int = os.O_PATH) -> Iterator[int]:
        """Open the mount point. Raises `OSError` or `InvalidArgument`."""
        with (
            self.opened_root() as root,
            opened(open_beneath(root, self.path, flags)) as entry,
        ):
            self.check_directory(root, entry)
            yield entry

    def check_directory(self, root: int, entry: int) -> None:
        """Raise `InvalidArgument` unless `entry` is in the path's first directory.

        A symlink that a container has planted may lead to a directory of the root that
        is another container's.
        """
        inside = os.path.relpath(*(os.readlink(proc_path(fd)) for fd in (entry, root)))
        if inside.partition("/")[0] != self.path.partition("/")[0]:
            raise InvalidArgument(
                f"path {str(self)!r}: leads to {f'{self.root}/{inside}'!r}"
            )


def parse_mount_point(paths: SystemPaths, text: str) -> MountPoint:
    """Return the mount point at the absolute path `text`.

    Raises `InvalidArgument` for a path that is not below one of the sandbox's
    directories, or that has a part `..`.
    """
    path = _normal(text)
    root = root_of(paths, path)
    if not text.startswith("/") or ".." in path.split("/") or "\0" in text or not root:
        raise InvalidArgument(f"path {text!r}: not below {paths.sandbox}")
    return MountPoint(root, path.removeprefix(f"{root}/"))


def find_mount_point(paths: SystemPaths, text: str) -> MountPoint | None:
    """Return the mount point that the path `text` names, `..` resolved by its words.

    None if it is not below one of the sandbox's directories.
    """
    path = os.path.normpath(f"/{text.lstrip('/')}")
    root = root_of(paths, path)
    return MountPoint(root, path.removeprefix(f"{root}/")) if root else None


def root_of(paths: SystemPaths, text: str) -> Path | None:
    """Return the sandbox's directory that `text` is below, None if there is none.

    The host's runtime, when it runs without root, puts its own runtime directory
    (`/run/user/UID`) in front of ours.
    """
    user = rf"{re.escape(os.fspath(paths.run))}/user/[0-9]+/run/kata-containers"
    pattern = rf"({re.escape(os.fspath(paths.sandbox))}|{user})/"
    match = re.match(pattern, _normal(text))
    return Path(match[1]) if match else None


def _normal(text: str) -> str:
    return "/" + "/".join(part for part in text.split("/") if part not in ("", "."))


def make_mount_point(
    point: MountPoint, undo: Undo, *, directory: bool = True, mode: int = 0o755
) -> int:
    """Make the directory, or the empty file, and return a descriptor (`O_PATH`).

    Missing parents are made too. `undo` removes all that was made, also if it fails,
    except directories that are not empty by then. Raises `OSError` or
    `InvalidArgument`.
    """
    os.makedirs(point.root, mode=0o750, exist_ok=True)
    made: list[str] = []
    undo.callback(_remove_empty, point, made)
    with point.opened_root() as root:
        if directory:
            entry = make_directories(root, point.path, made, mode=mode)
        else:
            parent = make_directories(root, os.path.dirname(point.path), made)
            with opened(parent):
                if "/" in point.path:
                    point.check_directory(root, parent)
            entry, new = make_file(root, point.path)
            if new:
                undo.callback(_remove_file, point)
        try:
            point.check_directory(root, entry)
        except BaseException:
            os.close(entry)
            raise
        return entry


def remove_tree(point: MountPoint) -> None:
    """Remove a directory with everything in it, or a file. None is fine."""
    with cleaning_up(point), point.opened_parent() as parent:
        try:
            remove_directory(parent, point.name)
        except NotADirectoryError:
            os.unlink(point.name, dir_fd=parent)


@contextmanager
def cleaning_up(point: MountPoint, *harmless: int) -> Iterator[None]:
    """Accept that `point` is gone, or that a container has put a symlink in its way.

    The error numbers in `harmless` are no failure of the cleanup either. All of these
    are logged.
    """
    fields = {"mount_point": str(point)}
    try:
        yield
    except InvalidArgument as error:
        log.warning("mount point not cleaned up", extra=fields | {"error": str(error)})
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, *harmless):
            raise
        log.info("mount point already gone", extra=fields | {"error": str(error)})


def _remove_empty(point: MountPoint, made: list[str]) -> None:
    with cleaning_up(point, errno.ENOTEMPTY, errno.EBUSY):
        with point.opened_root() as root:
            remove_directories(root, made)


def _remove_file(point: MountPoint) -> None:
    with cleaning_up(point), point.opened_parent() as parent:
        os.unlink(point.name, dir_fd=parent)
