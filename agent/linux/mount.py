# SPDX-License-Identifier: Apache-2.0
"""Mounts: options as people write them, and the system calls that take them.

Mount points that a container could swap under our hands are descriptors:
`mount_at` and `bind_at` mount on exactly what was opened (man 2 mount, man 2
open_tree, man 2 move_mount, man 2 mount_setattr; Linux 5.12).
"""

from __future__ import annotations

import ctypes
import errno
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kata_agent.linux.beneath import opened, proc_path
from kata_agent.linux.libc import PathLike, call, syscall

# linux/mount.h
MS_RDONLY: Final = 1
MS_NOSUID: Final = 2
MS_NODEV: Final = 4
MS_NOEXEC: Final = 8
MS_SYNCHRONOUS: Final = 16
MS_REMOUNT: Final = 32
MS_MANDLOCK: Final = 64
MS_DIRSYNC: Final = 128
MS_NOATIME: Final = 1 << 10
MS_NODIRATIME: Final = 1 << 11
MS_BIND: Final = 1 << 12
MS_MOVE: Final = 1 << 13
MS_REC: Final = 1 << 14
MS_SILENT: Final = 1 << 15
MS_POSIXACL: Final = 1 << 16
MS_UNBINDABLE: Final = 1 << 17
MS_PRIVATE: Final = 1 << 18
MS_SLAVE: Final = 1 << 19
MS_SHARED: Final = 1 << 20
MS_RELATIME: Final = 1 << 21
MS_I_VERSION: Final = 1 << 23
MS_STRICTATIME: Final = 1 << 24
MS_LAZYTIME: Final = 1 << 25

MNT_DETACH: Final = 2
UMOUNT_NOFOLLOW: Final = 8

SYS_OPEN_TREE: Final = 428
SYS_MOVE_MOUNT: Final = 429
SYS_MOUNT_SETATTR: Final = 442
OPEN_TREE_CLONE: Final = 1
OPEN_TREE_CLOEXEC: Final = os.O_CLOEXEC
AT_RECURSIVE: Final = 0x8000
AT_EMPTY_PATH: Final = 0x1000
AT_SYMLINK_NOFOLLOW: Final = 0x100
MOVE_MOUNT_F_EMPTY_PATH: Final = 0x04
MOVE_MOUNT_T_EMPTY_PATH: Final = 0x40

MOUNT_ATTR_ATIME_MASK: Final = 0x70
ATTRIBUTES: Final = {
    MS_RDONLY: 0x01,
    MS_NOSUID: 0x02,
    MS_NODEV: 0x04,
    MS_NOEXEC: 0x08,
    MS_NOATIME: 0x10,
    MS_STRICTATIME: 0x20,
    MS_NODIRATIME: 0x80,
}
"""Mount flags that a single mount has, by their name in `mount_setattr`."""
STATVFS: Final = {
    os.ST_RDONLY: MS_RDONLY,
    os.ST_NOSUID: MS_NOSUID,
    os.ST_NODEV: MS_NODEV,
    os.ST_NOEXEC: MS_NOEXEC,
    os.ST_NOATIME: MS_NOATIME,
    os.ST_NODIRATIME: MS_NODIRATIME,
    os.ST_RELATIME: MS_RELATIME,
}

DATA_LIMIT: Final = os.sysconf("SC_PAGE_SIZE") - 1
"""The kernel reads one page of options and drops the rest without a word."""

SET: Final = {
    "acl": MS_POSIXACL,
    "bind": MS_BIND,
    "dirsync": MS_DIRSYNC,
    "iversion": MS_I_VERSION,
    "lazytime": MS_LAZYTIME,
    "mand": MS_MANDLOCK,
    "noatime": MS_NOATIME,
    "nodev": MS_NODEV,
    "nodiratime": MS_NODIRATIME,
    "noexec": MS_NOEXEC,
    "nosuid": MS_NOSUID,
    "rbind": MS_BIND | MS_REC,
    "relatime": MS_RELATIME,
    "remount": MS_REMOUNT,
    "ro": MS_RDONLY,
    "silent": MS_SILENT,
    "strictatime": MS_STRICTATIME,
    "sync": MS_SYNCHRONOUS,
}
CLEAR: Final = {
    "async": MS_SYNCHRONOUS,
    "atime": MS_NOATIME,
    "defaults": MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_SYNCHRONOUS,
    "dev": MS_NODEV,
    "diratime": MS_NODIRATIME,
    "exec": MS_NOEXEC,
    "loud": MS_SILENT,
    "noacl": MS_POSIXACL,
    "noiversion": MS_I_VERSION,
    "nolazytime": MS_LAZYTIME,
    "nomand": MS_MANDLOCK,
    "norelatime": MS_RELATIME,
    "nostrictatime": MS_STRICTATIME,
    "rw": MS_RDONLY,
    "suid": MS_NOSUID,
}
PROPAGATION: Final = {
    "private": MS_PRIVATE,
    "rprivate": MS_PRIVATE | MS_REC,
    "rshared": MS_SHARED | MS_REC,
    "rslave": MS_SLAVE | MS_REC,
    "runbindable": MS_UNBINDABLE | MS_REC,
    "shared": MS_SHARED,
    "slave": MS_SLAVE,
    "unbindable": MS_UNBINDABLE,
}


@dataclass(frozen=True, slots=True)
class MountOptions:
    """Mount options in the kernel's terms."""

    flags: int = 0
    """`MS_*` without the propagation ones."""
    propagation: int = 0
    """`MS_PRIVATE`, `MS_SHARED`, `MS_SLAVE` or `MS_UNBINDABLE`, or with `MS_REC`."""
    data: str = ""
    """What the kernel does not know by name, for the file system, comma-separated."""


def parse_options(options: Iterable[str]) -> MountOptions:
    """Split options into flags and the file system's own; later ones win."""
    flags = propagation = 0
    data = []
    for option in options:
        if option in SET:
            flags |= SET[option]
        elif option in CLEAR:
            flags &= ~CLEAR[option]
        elif option in PROPAGATION:
            propagation = PROPAGATION[option]
        elif option:
            data.append(option)
    return MountOptions(flags, propagation, ",".join(data))


def mount(
    source: PathLike,
    target: PathLike,
    fstype: str | None = None,
    flags: int = 0,
    data: str = "",
) -> None:
    """Call mount(2). Raises `OSError` that names the target."""
    encoded = os.fsencode(data)
    if len(encoded) > DATA_LIMIT:
        raise OSError(errno.E2BIG, "mount options exceed a page", os.fspath(target))
    call(
        "mount",
        ctypes.c_char_p(os.fsencode(source)),
        ctypes.c_char_p(os.fsencode(target)),
        ctypes.c_char_p(None if fstype is None else fstype.encode()),
        ctypes.c_ulong(flags),
        ctypes.c_char_p(encoded or None),
        path=target,
    )


def unmount(target: PathLike, flags: int = UMOUNT_NOFOLLOW) -> None:
    """Call umount2(2). Raises `OSError` that names the target."""
    call(
        "umount2",
        ctypes.c_char_p(os.fsencode(target)),
        ctypes.c_int(flags),
        path=target,
    )


def mount_at(source: PathLike, target: int, fstype: str, options: MountOptions) -> None:
    """Mount a file system on what the descriptor `target` stands for."""
    mount(source, proc_path(target), fstype, options.flags, options.data)


def bind_at(source: int, target: int, options: MountOptions) -> None:
    """Bind what descriptor `source` stands for onto what `target` stands for.

    The flags hold from the first moment: the mount is made aside, gets its
    attributes, and is then put in place. A read-only volume is never writable.
    """
    with opened(clone_tree(source, recursive=bool(options.flags & MS_REC))) as tree:
        _set_attributes(tree, options)
        attach_tree(tree, target)


def clone_tree(source: int, *, recursive: bool) -> int:
    """Return a copy of the mount that descriptor `source` is in, from there down.

    It is attached to nothing, and goes when its descriptor is closed before that.
    """
    flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH
    return syscall(
        SYS_OPEN_TREE,
        source,
        ctypes.c_char_p(b""),
        flags | (AT_RECURSIVE if recursive else 0),
        path=proc_path(source),
    )


def attach_tree(tree: int, target: int) -> None:
    """Put a cloned tree onto what `target` stands for, in the thread's namespace."""
    syscall(
        SYS_MOVE_MOUNT,
        tree,
        ctypes.c_char_p(b""),
        target,
        ctypes.c_char_p(b""),
        MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH,
        path=proc_path(target),
    )


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def _set_attributes(tree: int, options: MountOptions) -> None:
    wanted = clear = 0
    for flag, attribute in ATTRIBUTES.items():
        if options.flags & flag:
            wanted |= attribute
    if wanted & MOUNT_ATTR_ATIME_MASK or options.flags & MS_RELATIME:
        clear = MOUNT_ATTR_ATIME_MASK
    if wanted or clear:
        _mount_setattr(tree, 0, _MountAttr(wanted, clear, 0, 0))
    if options.propagation:
        set_propagation(tree, options.propagation)


def set_propagation(mounted: int, propagation: int) -> None:
    """Set the propagation of the mount whose root the descriptor stands for."""
    recursive = AT_RECURSIVE if propagation & MS_REC else 0
    _mount_setattr(mounted, recursive, _MountAttr(0, 0, propagation & ~MS_REC, 0))


def _mount_setattr(mounted: int, flags: int, attributes: _MountAttr) -> None:
    syscall(
        SYS_MOUNT_SETATTR,
        mounted,
        ctypes.c_char_p(b""),
        AT_EMPTY_PATH | flags,
        ctypes.byref(attributes),
        ctypes.sizeof(attributes),
        path=proc_path(mounted),
    )


def remount_at(mounted: int, options: MountOptions) -> None:
    """Change a mounted file system's own options; the mount keeps its flags."""
    kept = 0
    present = os.fstatvfs(mounted).f_flag
    for flag, mount_flag in STATVFS.items():
        if present & flag:
            kept |= mount_flag
    flags = options.flags | kept | MS_REMOUNT
    mount("none", proc_path(mounted), None, flags, options.data)


def unmount_at(parent: int, name: str, *, lazy: bool = False) -> None:
    """Unmount what is mounted on `name` in the directory `parent`."""
    flags = UMOUNT_NOFOLLOW | (MNT_DETACH if lazy else 0)
    unmount(f"{proc_path(parent)}/{name}", flags)


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of `/proc/self/mountinfo` (man 5 proc)."""

    id: int
    major: int
    minor: int
    root: str
    point: str
    fstype: str
    source: str
    options: tuple[str, ...]
    """The file system's own ones (`super options`)."""


def read_mounts(mountinfo: Path) -> list[Mount]:
    """Return the mounts that the file lists, in the order they were made."""
    return list(parse_mountinfo(mountinfo.read_text(errors="surrogateescape")))


def parse_mountinfo(text: str) -> Iterator[Mount]:
    for line in text.splitlines():
        left, separator, right = line.partition(" - ")
        before, after = left.split(" "), right.split(" ")
        if not separator or len(before) < 6 or len(after) < 3:
            raise OSError(errno.EINVAL, f"not a mountinfo line: {line!r}")
        major, _, minor = before[2].partition(":")
        yield Mount(
            id=int(before[0]),
            major=int(major),
            minor=int(minor),
            root=_unescape(before[3]),
            point=_unescape(before[4]),
            fstype=after[0],
            source=_unescape(after[1]),
            options=tuple(after[2].split(",")),
        )


def _unescape(field: str) -> str:
    """Undo the octal escapes of blanks, tabs, newlines and backslashes."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
