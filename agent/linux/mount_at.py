# SPDX-License-Identifier: Apache-2.0
"""Mounts on opened files and directories, whose paths a container could swap.

Sources: man 2 open_tree, man 2 move_mount, man 2 mount_setattr (Linux 5.12).
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

from kata_agent.linux.beneath import opened, proc_path
from kata_agent.linux.libc import PathLike, syscall
from kata_agent.linux.mount import (
    MNT_DETACH,
    MS_NOATIME,
    MS_NODEV,
    MS_NODIRATIME,
    MS_NOEXEC,
    MS_NOSUID,
    MS_RDONLY,
    MS_REC,
    MS_RELATIME,
    MS_REMOUNT,
    MS_STRICTATIME,
    UMOUNT_NOFOLLOW,
    mount,
    unmount,
)
from kata_agent.linux.mount_options import MountOptions

SYS_OPEN_TREE: Final = 428
SYS_MOVE_MOUNT: Final = 429
SYS_MOUNT_SETATTR: Final = 442
OPEN_TREE_CLONE: Final = 1
OPEN_TREE_CLOEXEC: Final = os.O_CLOEXEC
AT_RECURSIVE: Final = 0x8000
AT_EMPTY_PATH: Final = 0x1000
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
"""The flags of a single mount, as mount(2) and as mount_setattr(2) number them."""
STATVFS: Final = {
    os.ST_RDONLY: MS_RDONLY,
    os.ST_NOSUID: MS_NOSUID,
    os.ST_NODEV: MS_NODEV,
    os.ST_NOEXEC: MS_NOEXEC,
    os.ST_NOATIME: MS_NOATIME,
    os.ST_NODIRATIME: MS_NODIRATIME,
    os.ST_RELATIME: MS_RELATIME,
}


def mount_at(source: PathLike, target: int, fstype: str, options: MountOptions) -> None:
    """Mount a file system on the directory or file open at `target`."""
    mount(source, proc_path(target), fstype, options.flags, options.data)


def bind_at(source: int, target: int, options: MountOptions) -> None:
    """Bind the directory or file open at `source` onto the one open at `target`.

    The mount gets its flags before it is attached, so that a read-only volume is
    never writable, not even for a moment.
    """
    with opened(clone_tree(source, recursive=bool(options.flags & MS_REC))) as tree:
        set_attributes(tree, options)
        attach_tree(tree, target)


def clone_tree(source: int, *, recursive: bool) -> int:
    """Return a detached copy of the mount that `source` is in, from `source` down.

    `recursive` copies the mounts below as well. The copy is unmounted when its
    descriptor is closed before `attach_tree`.
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
    """Attach a cloned tree at `target`, in the calling thread's mount namespace."""
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


def set_attributes(tree: int, options: MountOptions) -> None:
    """Set the flags of the mount whose root is open at `tree`; others stay."""
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
    """Set the propagation (`MS_*`) of the mount whose root is open at `mounted`."""
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
    """Change the options of the file system open at `mounted`; its flags stay."""
    kept = 0
    present = os.fstatvfs(mounted).f_flag
    for flag, mount_flag in STATVFS.items():
        if present & flag:
            kept |= mount_flag
    flags = options.flags | kept | MS_REMOUNT
    mount("none", proc_path(mounted), None, flags, options.data)


def unmount_at(parent: int, name: str, *, lazy: bool = False) -> None:
    """Unmount the top mount on `name` in the directory open at `parent`.

    `lazy` detaches a mount that is in use; the kernel ends it after its last use.
    """
    flags = UMOUNT_NOFOLLOW | (MNT_DETACH if lazy else 0)
    unmount(f"{proc_path(parent)}/{name}", flags)
