# SPDX-License-Identifier: Apache-2.0
"""Unpacks an archive of a guest onto the host, beneath one place and nowhere else.

No entry is written through a symbolic link, whether the archive or the host has it:
each part of a path is opened beneath the one before (man 2 openat, O_NOFOLLOW). Refused
are `..` and hard links out of the archive. Left out are symbolic links out of it, which
someone may follow later, and device nodes and fifos. Owners are the caller's,
set-user-ID bits are not kept, and of extended attributes only those of users (man 7
xattr), where the file system has any. A file takes the place of another when it is
whole; runs of zeros become holes.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import tarfile
from collections.abc import Callable, Iterator, Sequence
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Final

from kata_host.tar.part import part_name, sweep
from kata_host.tar.tar_entries import CHUNK, TarEntries
from kata_host.tar.tar_error import TarError
from kata_host.tar.tar_writer import USER, XATTR

MODE: Final = 0o777
LEFT_OUT: Final = 100_000
"""Names of what is left out that are kept; an archive with more is refused."""
_ZEROS: Final = bytes(CHUNK)
_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def unpack(
    file: BinaryIO,
    target: Path,
    count: Callable[[int], None] = lambda _: None,
    *,
    shown: Path | None = None,
) -> Sequence[str]:
    """Make `target` what the archive has at its top: a file or a directory.

    A directory that is there is added to, and `target` keeps its mode then; a file is
    replaced. `count` gets the number of bytes of each chunk. `shown` is the name of
    `target` in errors. Returns the names of what is left out. Raises
    `TarError` for what is refused, and `OSError`; what was unpacked before stays.
    """
    is_there = target.is_dir() and not target.is_symlink()
    if is_there:
        sweep(target)
    top = os.open(target.parent, _DIRECTORY & ~os.O_NOFOLLOW)
    # By place, because an archive may have the same directory without end.
    modes: dict[tuple[str, ...], int] = {}
    left_out: dict[str, None] = {}
    try:
        entries = TarEntries(file)
        first: str | None = None
        for entry in entries:
            parts = _parts(entry.name)
            root = parts[0] if parts else "."
            if first is None:
                first = root
            elif first != root and first != ".":
                raise TarError(f"{_shown(entry.name)}: not below {_shown(first)}")
            below = parts if first == "." else parts[1:]
            place = (target.name, *below)
            if entry.isdir() and not below and is_there:
                # The user's own, whose mode is no matter of the guest.
                continue
            if _is_left_out(place, entry) or (
                entry.islnk() and entry.linkname in left_out
            ):
                if not below:
                    why = "a link that leads elsewhere, or no file"
                    raise TarError(f"{_shown(entry.name)}: {why}")
                left_out[entry.name] = None
                if len(left_out) > LEFT_OUT:
                    raise TarError(
                        f"archive: more than {LEFT_OUT} entries to leave out"
                    )
                continue
            with _named((shown or target).joinpath(*below)):
                _make(top, place, entry, entries, count)
            if entry.isdir() and entry.mode & 0o700 != 0o700:
                modes[place] = entry.mode
        if first is None:
            raise TarError("archive: empty")
        # Last, because their entries could not be made otherwise.
        for directory, mode in reversed(modes.items()):
            with _opened(top, directory) as fd:
                os.fchmod(fd, mode & MODE)
    finally:
        os.close(top)
    return [*left_out]


@contextlib.contextmanager
def _named(path: Path) -> Iterator[None]:
    """Raise an `OSError` of the block with the whole path: a write has none at all."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, f"{path!s:.400}") from error


def _parts(name: str) -> Sequence[str]:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\0" in name:
        raise TarError(f"{_shown(name)}: a path out of the archive")
    return parts


def _make(
    top: int,
    place: Sequence[str],
    entry: tarfile.TarInfo,
    entries: TarEntries,
    count: Callable[[int], None],
) -> None:
    with _opened(top, place[:-1]) as parent:
        name = place[-1]
        if entry.isdir():
            _make_directory(parent, name, entry)
        elif entry.isfile() and not entry.issparse():
            _make_file(parent, name, entry, entries, count)
        elif entry.issym():
            _remove(parent, name)
            os.symlink(entry.linkname, name, dir_fd=parent)
        elif entry.islnk():
            _make_hard_link(top, place, parent, entry)
        else:
            # A few bytes of a sparse file fill a disk.
            kind = "sparse file" if entry.issparse() else f"unknown kind {entry.type!r}"
            raise TarError(f"{_shown(entry.name)}: {kind}")


def _make_directory(parent: int, name: str, entry: tarfile.TarInfo) -> None:
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, 0o700, dir_fd=parent)
    fd = os.open(name, _DIRECTORY, dir_fd=parent)
    try:
        os.fchmod(fd, entry.mode & MODE | 0o700)
        _set_attributes(fd, entry)
    finally:
        os.close(fd)


def _make_file(
    parent: int,
    name: str,
    entry: tarfile.TarInfo,
    entries: TarEntries,
    count: Callable[[int], None],
) -> None:
    fd, part = _new_file(parent)
    try:
        with open(fd, "wb", buffering=0) as file:
            for data in entries.chunks(entry):
                _write(file, data)
                count(len(data))
            # Zeros at the end have not been written.
            file.truncate(entry.size)
            os.fchmod(fd, entry.mode & MODE)
            _set_attributes(fd, entry)
            _set_time(fd, entry.mtime)
            if part is None:
                part = _named_file(fd, parent)
        os.rename(part, name, src_dir_fd=parent, dst_dir_fd=parent)
    except BaseException:
        if part is not None:
            _remove(parent, part)
        raise


def _new_file(parent: int) -> tuple[int, str | None]:
    """Make a file without a name, which ends with this process; return None for it.

    Where a file system has no such files, it has a name.
    """
    try:
        return os.open(
            ".", os.O_WRONLY | os.O_TMPFILE | os.O_CLOEXEC, 0o600, dir_fd=parent
        ), None
    except OSError as error:
        # Linux before 3.11 has the second.
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR):
            raise
    part = part_name()
    fd = os.open(part, _NEW, 0o600, dir_fd=parent)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd, part


def _named_file(fd: int, parent: int) -> str:
    """Give a name to a file that has none, which another file cannot lose to it."""
    part = part_name()
    # man 2 open, O_TMPFILE
    os.link(f"/proc/self/fd/{fd}", part, dst_dir_fd=parent, follow_symlinks=True)
    return part


def _write(file: FileIO, data: bytes) -> None:
    """Write data, or leave a hole if it is nothing but zeros."""
    if data == _ZEROS[: len(data)]:
        file.seek(len(data), os.SEEK_CUR)
        return
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _set_attributes(fd: int, entry: tarfile.TarInfo) -> None:
    """Set the extended attributes that any user may set. Raises `OSError`."""
    for key, value in entry.pax_headers.items():
        name = key.removeprefix(XATTR)
        if name == key or not name.startswith(USER) or "\0" in name:
            continue
        try:
            os.setxattr(fd, name, value.encode("utf-8", "surrogateescape"))
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EPERM):
                raise


def _set_time(fd: int, seconds: float) -> None:
    # A time of the guest may be none that this host has.
    with contextlib.suppress(OverflowError, ValueError, OSError):
        os.utime(fd, (seconds, seconds))


def _is_left_out(place: Sequence[str], entry: tarfile.TarInfo) -> bool:
    return entry.isdev() or (entry.issym() and _leads_out(place, entry.linkname))


def _leads_out(place: Sequence[str], link: str) -> bool:
    # Beneath the directory that the archive becomes, which is the first part.
    parts = [part for part in link.split("/") if part not in ("", ".")]
    ups = parts.count("..")
    # After a name, which may be another link's, `..` may lead anywhere.
    return (
        link.startswith("/")
        or ups > max(0, len(place) - 2)
        or any(part != ".." for part in parts[:ups])
    )


def _make_hard_link(
    top: int, place: Sequence[str], parent: int, entry: tarfile.TarInfo
) -> None:
    *directories, name = _hard_link_target(place, entry)
    with _opened(top, directories) as source:
        if stat.S_ISLNK(os.lstat(name, dir_fd=source).st_mode):
            # It leads elsewhere from another directory.
            link = os.readlink(name, dir_fd=source)
            if _leads_out(place, link):
                out = f"a link out of the archive, to {_shown(link)}"
                raise TarError(f"{_shown(entry.name)}: {out}")
        _remove(parent, place[-1])
        # Without following a symbolic link (man 2 linkat).
        os.link(
            name,
            place[-1],
            src_dir_fd=source,
            dst_dir_fd=parent,
            follow_symlinks=False,
        )


def _hard_link_target(place: Sequence[str], entry: tarfile.TarInfo) -> Sequence[str]:
    """Return the place of the file that is linked to, which the archive has too."""
    parts, own = _parts(entry.linkname), _parts(entry.name)
    # Both names are cut in the same way.
    cut = len(own) - (len(place) - 1)
    if len(parts) <= cut or parts[:cut] != own[:cut]:
        raise TarError(f"{_shown(entry.name)}: a link to {_shown(entry.linkname)}")
    return [place[0], *parts[cut:]]


@contextlib.contextmanager
def _opened(top: int, parts: Sequence[str]) -> Iterator[int]:
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
        path = "/".join(parts)
        raise TarError(f"{_shown(path)}: not a directory, or a link") from error
    finally:
        os.close(fd)


def _remove(parent: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=parent)


def _shown(name: str) -> str:
    return f"{name!r:.200}"
