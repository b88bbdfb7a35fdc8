# SPDX-License-Identifier: Apache-2.0
"""Where a storage goes: mount points, confined to the sandbox's directories.

Everything here blocks, and whatever makes something returns its undo as an
`ExitStack`. A function that fails has undone its own part.
"""

from __future__ import annotations

import errno
import logging
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from kata_agent.errors import InvalidArgument, NotFound, Unimplemented
from kata_agent.linux.beneath import (
    is_directory,
    make_directories,
    make_file,
    open_directory,
    open_parent,
    opened,
    remove_directories,
)
from kata_agent.linux.mount import (
    MS_BIND,
    MountOptions,
    bind_at,
    mount_at,
    remount_at,
    set_propagation,
    unmount_at,
)
from kata_agent.linux.openat2 import open_beneath
from kata_agent.linux.tree import remove_directory
from kata_agent.system_paths import SystemPaths

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """A path below one of the sandbox's directories."""

    root: Path
    path: str
    """Relative to `root`, without `.` and `..`."""

    def __str__(self) -> str:
        return f"{self.root}/{self.path}"

    @property
    def name(self) -> str:
        return os.path.basename(self.path)

    @contextmanager
    def opened_root(self) -> Iterator[int]:
        """Open the root. What leads out of it is the caller's mistake."""
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
    def opened(self, flags: int = os.O_PATH) -> Iterator[int]:
        """Open what is there. Raises `OSError`."""
        with (
            self.opened_root() as root,
            opened(open_beneath(root, self.path, flags)) as entry,
        ):
            yield entry


def place_of(paths: SystemPaths, text: str) -> Place:
    """Return where the absolute path `text` is. Raises `InvalidArgument`.

    A rootless host puts its own runtime directory in front of ours.
    """
    path = _normal(text)
    root = _root_of(paths, path)
    if not text.startswith("/") or ".." in path.split("/") or "\0" in text or not root:
        raise InvalidArgument(f"path {text!r}: not below {paths.sandbox}")
    return Place(root, path.removeprefix(f"{root}/"))


def _normal(text: str) -> str:
    return "/" + "/".join(part for part in text.split("/") if part not in ("", "."))


def _root_of(paths: SystemPaths, path: str) -> Path | None:
    """Return the directory that confines `path`, None for a path elsewhere."""
    user = rf"{re.escape(os.fspath(paths.run))}/user/[0-9]+/run/kata-containers"
    match = re.match(rf"({re.escape(os.fspath(paths.sandbox))}|{user})/", path)
    return Path(match[1]) if match else None


def make_place(
    place: Place, undo: ExitStack, *, directory: bool = True, mode: int = 0o755
) -> int:
    """Make the directory or the empty file `place`; return a descriptor (`O_PATH`).

    What it made goes away with `undo`, unless somebody has put something in.
    """
    os.makedirs(place.root, mode=0o750, exist_ok=True)
    with place.opened_root() as root:
        if directory:
            entry, made = make_directories(root, place.path, mode=mode)
            undo.callback(_remove_empty, place, made)
            return entry
        parent, made = make_directories(root, os.path.dirname(place.path))
        os.close(parent)
        undo.callback(_remove_empty, place, made)
        entry, new = make_file(root, place.path)
        if new:
            undo.callback(_remove_file, place)
        return entry


@contextmanager
def _unless_taken_away(place: Place, *harmless: int) -> Iterator[None]:
    """Clean up `place`, which a container may have taken away meanwhile.

    That, or an error number that is `harmless`, is no failure of who cleans up.
    """
    try:
        yield
    except InvalidArgument as error:
        log.warning("mount point %s: not cleaned up: %s", place, error)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, *harmless):
            raise
        log.info("mount point %s: nothing left to clean up: %s", place, error)


def _remove_empty(place: Place, made: list[str]) -> None:
    with _unless_taken_away(place, errno.ENOTEMPTY, errno.EBUSY):
        with place.opened_root() as root:
            remove_directories(root, made)


def _remove_file(place: Place) -> None:
    with _unless_taken_away(place), _opened_parent(place) as parent:
        os.unlink(place.name, dir_fd=parent)


def remove_tree(place: Place) -> None:
    """Remove what is at `place`: a directory with everything in it, or a file."""
    with _unless_taken_away(place), _opened_parent(place) as parent:
        try:
            remove_directory(parent, place.name)
        except NotADirectoryError:
            os.unlink(place.name, dir_fd=parent)


@contextmanager
def _opened_parent(place: Place) -> Iterator[int]:
    with place.opened_root() as root, opened(open_parent(root, place.path)) as parent:
        yield parent


def mount_file_system(
    place: Place, source: str, fstype: str, options: MountOptions
) -> ExitStack:
    """Mount a file system; `source` is a node, a tag or just a word to the kernel."""
    with ExitStack() as undo:
        with opened(make_place(place, undo)) as target:
            try:
                mount_at(source, target, fstype, options)
            except OSError as error:
                if error.errno == errno.ENODEV:
                    raise Unimplemented(
                        f"storage {str(place)!r}: "
                        f"this kernel has no file system {fstype!r}"
                    ) from error
                # The kernel names no layer; our descriptor would tell nobody.
                what = f"{fstype} {source!r}" + (options.data and f" ({options.data})")
                text = f"{error.strerror}, mounting {what}"
                raise OSError(error.errno, text, str(place)) from error
        undo.callback(unmount, place)
        if options.propagation:
            with place.opened() as mounted:
                set_propagation(mounted, options.propagation)
        return undo.pop_all()


def bind(
    paths: SystemPaths, place: Place, source: str, options: MountOptions
) -> ExitStack:
    """Bind the file or directory `source` to `place`.

    A source in the sandbox's directories is confined to them like a mount
    point: a container may have put a symlink there.
    """
    with ExitStack() as undo, opened(open_source(paths, source)) as origin:
        directory = is_directory(origin)
        with opened(make_place(place, undo, directory=directory)) as target:
            bind_at(origin, target, options)
        undo.callback(unmount, place)
        return undo.pop_all()


def open_source(paths: SystemPaths, source: str) -> int:
    """Open (`O_PATH`) what the host wants bound or copied."""
    parts = source.split("/")
    if not source.startswith("/") or ".." in parts or "\0" in source:
        raise InvalidArgument(f"source {source!r}: not an absolute path")
    try:
        if _root_of(paths, _normal(source)) is None:
            return os.open(source, os.O_PATH | os.O_CLOEXEC)
        place = place_of(paths, source)
        with place.opened_root() as root:
            return open_beneath(root, place.path, os.O_PATH)
    except FileNotFoundError as error:
        raise NotFound(f"source {source!r}: no such file") from error


def remount(place: Place, options: MountOptions) -> None:
    """Change the options of the file system mounted on `place`."""
    with place.opened() as mounted:
        remount_at(mounted, options)


def unmount(place: Place) -> None:
    """Unmount `place`; what is still in use goes when its last user does."""
    # EINVAL: nothing is mounted there any more.
    with _unless_taken_away(place, errno.EINVAL), _opened_parent(place) as parent:
        try:
            unmount_at(parent, place.name)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            log.warning("mount point %s: in use, detached", place)
            unmount_at(parent, place.name, lazy=True)


def is_bind(fstype: str, options: MountOptions) -> bool:
    return fstype == "bind" or bool(options.flags & MS_BIND)
