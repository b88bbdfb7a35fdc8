# SPDX-License-Identifier: Apache-2.0
"""Unpacks an archive of a guest onto the host, beneath one place and nowhere else.

No entry is written through a symbolic link, whether the archive or the host has it:
each part of a path is opened beneath the one before (man 2 openat, O_NOFOLLOW). Refused
are `..`, links out of the archive, and device nodes, fifos and sockets. Owners are the
caller's, set-user-ID bits are not kept.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from kata_host.client.tar_entries import (
    EntryKind,
    TarEntries,
    TarEntry,
    TarError,
    shown,
)

MODE: Final = 0o777
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def unpack(
    file: BinaryIO, target: Path, count: Callable[[int], None] = lambda _: None
) -> None:
    """Make `target` what the archive has at its top: a file or a directory.

    A directory that is there is added to, a file replaced. `count` gets the number of
    bytes of each chunk. Raises `TarError` for what is refused, and `OSError`; what was
    unpacked before stays.
    """
    top = os.open(target.parent, _DIRECTORY & ~os.O_NOFOLLOW)
    modes: list[tuple[list[bytes], int]] = []
    try:
        entries = TarEntries(file)
        first: bytes | None = None
        for entry in entries:
            parts = _parts(entry.name)
            root = parts[0] if parts else b"."
            if first is None:
                first = root
            elif first != root and first != b".":
                raise TarError(f"{shown(entry.name)}: not below {shown(first)}")
            below = parts if first == b"." else parts[1:]
            place = [os.fsencode(target.name), *below]
            _make(top, place, entry, entries, count)
            if entry.kind is EntryKind.DIRECTORY and entry.mode & 0o700 != 0o700:
                modes.append((place, entry.mode))
        if first is None:
            raise TarError("archive: empty")
        # Last, because their entries could not be made otherwise.
        for directory, mode in reversed(modes):
            with _opened(top, directory) as fd:
                os.fchmod(fd, mode & MODE)
    finally:
        os.close(top)


def _parts(name: bytes) -> Sequence[bytes]:
    parts = [part for part in name.split(b"/") if part not in (b"", b".")]
    if name.startswith(b"/") or b".." in parts or b"\0" in name:
        raise TarError(f"{shown(name)}: a path out of the archive")
    return parts


def _make(
    top: int,
    place: Sequence[bytes],
    entry: TarEntry,
    entries: TarEntries,
    count: Callable[[int], None],
) -> None:
    with _opened(top, place[:-1]) as parent:
        name = place[-1]
        match entry.kind:
            case EntryKind.DIRECTORY:
                _make_directory(parent, name, entry)
            case EntryKind.FILE:
                _make_file(parent, name, entry, entries, count)
            case EntryKind.SYMBOLIC_LINK:
                _check_symbolic_link(place, entry)
                _remove(parent, name)
                os.symlink(entry.link, name, dir_fd=parent)
            case EntryKind.HARD_LINK:
                _make_hard_link(top, place, parent, entry)
            case _:
                kind = entry.kind.name.lower().replace("_", " ")
                raise TarError(f"{shown(entry.name)}: a {kind}")


def _make_directory(parent: int, name: bytes, entry: TarEntry) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=parent)
    fd = os.open(name, _DIRECTORY, dir_fd=parent)
    try:
        os.fchmod(fd, entry.mode & MODE | 0o700)
    finally:
        os.close(fd)


def _make_file(
    parent: int,
    name: bytes,
    entry: TarEntry,
    entries: TarEntries,
    count: Callable[[int], None],
) -> None:
    _remove(parent, name)
    with open(os.open(name, _NEW, 0o600, dir_fd=parent), "wb", buffering=0) as file:
        for data in entries.content():
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
            count(len(data))
        os.fchmod(file.fileno(), entry.mode & MODE)


def _check_symbolic_link(place: Sequence[bytes], entry: TarEntry) -> None:
    # Beneath the directory that the archive becomes, which is the first part.
    inside = posixpath.normpath(posixpath.join(*place[1:-1], entry.link or b"."))
    if entry.link.startswith(b"/") or inside.split(b"/")[0] == b"..":
        raise TarError(
            f"{shown(entry.name)}: a link out of the archive, to {shown(entry.link)}"
        )


def _make_hard_link(
    top: int, place: Sequence[bytes], parent: int, entry: TarEntry
) -> None:
    *directories, name = _hard_link_target(place, entry)
    with _opened(top, directories) as source:
        _remove(parent, place[-1])
        # Without following a symbolic link (man 2 linkat).
        os.link(
            name,
            place[-1],
            src_dir_fd=source,
            dst_dir_fd=parent,
            follow_symlinks=False,
        )


def _hard_link_target(place: Sequence[bytes], entry: TarEntry) -> Sequence[bytes]:
    """Return the place of the file that is linked to, which the archive has too."""
    parts, own = _parts(entry.link), _parts(entry.name)
    # Both names are cut in the same way.
    cut = len(own) - (len(place) - 1)
    if len(parts) <= cut or parts[:cut] != own[:cut]:
        raise TarError(f"{shown(entry.name)}: a link to {shown(entry.link)}")
    return [place[0], *parts[cut:]]


@contextlib.contextmanager
def _opened(top: int, parts: Sequence[bytes]) -> Iterator[int]:
    """Open a directory beneath `top` for the block; make what is missing."""
    fd = os.dup(top)
    try:
        for part in parts:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=fd)
            below = os.open(part, _DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = below
        yield fd
    except NotADirectoryError as error:
        path = b"/".join(parts)
        raise TarError(f"{shown(path)}: not a directory, or a link") from error
    finally:
        os.close(fd)


def _remove(parent: int, name: bytes) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=parent)
