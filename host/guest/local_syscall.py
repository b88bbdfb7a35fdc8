# SPDX-License-Identifier: Apache-2.0
"""The system calls of guests that Python 3.11 lacks. All raise `OSError`."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Final

# linux/sched.h
CLONE_NEWNS: Final = 0x00020000
CLONE_NEWCGROUP: Final = 0x02000000
CLONE_NEWUTS: Final = 0x04000000
CLONE_NEWIPC: Final = 0x08000000
CLONE_NEWUSER: Final = 0x10000000
CLONE_NEWPID: Final = 0x20000000
CLONE_NEWNET: Final = 0x40000000

# linux/mount.h
MS_RDONLY: Final = 0x1
MS_NOSUID: Final = 0x2
MS_NODEV: Final = 0x4
MS_NOEXEC: Final = 0x8
MS_REMOUNT: Final = 0x20
MS_BIND: Final = 0x1000
MS_REC: Final = 0x4000
MS_PRIVATE: Final = 0x40000
MS_SLAVE: Final = 0x80000
MNT_DETACH: Final = 0x2

# linux/mount.h, linux/fcntl.h; the numbers of the calls are the same on every machine
SYS_OPEN_TREE: Final = 428
SYS_MOVE_MOUNT: Final = 429
SYS_PIDFD_GETFD: Final = 438
SYS_MOUNT_SETATTR: Final = 442
OPEN_TREE_CLONE: Final = 1
MOVE_MOUNT_F_EMPTY_PATH: Final = 0x4
AT_RECURSIVE: Final = 0x8000
AT_EMPTY_PATH: Final = 0x1000
MOUNT_ATTR_RDONLY: Final = 0x1
MOUNT_ATTR_NODEV: Final = 0x4
AT_FDCWD: Final = -100

# linux/prctl.h, linux/capability.h
PR_SET_PDEATHSIG: Final = 1
PR_CAPBSET_DROP: Final = 24
PR_SET_CHILD_SUBREAPER: Final = 36
CAP_SYS_MODULE: Final = 16
CAP_SYS_BOOT: Final = 22
CAP_SYS_TIME: Final = 25

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Move the caller to new namespaces, its next child for `CLONE_NEWPID` (man 2)."""
    _check(_libc.unshare(flags), "unshare")


def mount(
    source: str, target: str, fstype: str = "", flags: int = 0, data: str = ""
) -> None:
    """Mount (man 2 mount); an empty `fstype` or `data` is passed as NULL."""
    result = _libc.mount(
        source.encode(),
        os.fsencode(target),
        fstype.encode() or None,
        ctypes.c_ulong(flags),
        data.encode() or None,
    )
    _check(result, target)


def detach(target: str) -> None:
    """Unmount everything at `target` and below, even if busy (man 2 umount2)."""
    while _libc.umount2(os.fsencode(target), MNT_DETACH) == 0:
        pass
    # EINVAL says that nothing is mounted there any more.
    if ctypes.get_errno() != errno.EINVAL:
        _check(-1, target)


def clone_tree(path: str) -> int:
    """Return a descriptor of a copy of the mounts at `path` and below.

    The copy is mounted nowhere, and stays when the originals are unmounted. `path` need
    not be a mount point (man 2 open_tree, Linux 5.2).
    """
    flags = OPEN_TREE_CLONE | os.O_CLOEXEC | AT_RECURSIVE
    fd = _libc.syscall(SYS_OPEN_TREE, AT_FDCWD, os.fsencode(path), flags)
    _check(fd, path)
    return int(fd)


def restrict_tree(fd: int, attributes: int) -> None:
    """Set attributes of all mounts of a copy, which no other mount changes any more.

    They hold from before the copy is mounted (man 2 mount_setattr, Linux 5.12).
    """
    # struct mount_attr: attr_set, attr_clr, propagation, userns_fd.
    changes = (ctypes.c_uint64 * 4)(attributes, 0, MS_PRIVATE, 0)
    flags = AT_EMPTY_PATH | AT_RECURSIVE
    size = ctypes.c_size_t(ctypes.sizeof(changes))
    result = _libc.syscall(
        SYS_MOUNT_SETATTR, fd, b"", flags, ctypes.byref(changes), size
    )
    _check(result, "mount_setattr")


def mount_tree(fd: int, target: str) -> None:
    """Mount what `clone_tree` has returned, and close it (man 2 move_mount)."""
    flags = MOVE_MOUNT_F_EMPTY_PATH
    result = _libc.syscall(
        SYS_MOVE_MOUNT, fd, b"", AT_FDCWD, os.fsencode(target), flags
    )
    _check(result, target)
    os.close(fd)


def duplicate_of(pidfd: int, fd: int) -> int:
    """Return a descriptor of what is `fd` in another process (man 2 pidfd_getfd).

    The caller has to be allowed to trace that process. Linux 5.6.
    """
    duplicate = _libc.syscall(SYS_PIDFD_GETFD, pidfd, fd, 0)
    _check(duplicate, "pidfd_getfd")
    return int(duplicate)


def personality(persona: int) -> None:
    """Set how the kernel presents itself, 0 for as it is (man 2 personality)."""
    _check(_libc.personality(ctypes.c_ulong(persona)), "personality")


def prctl(option: int, argument: int) -> None:
    """Set an attribute of the calling process (man 2 prctl)."""
    _check(_libc.prctl(option, ctypes.c_ulong(argument), 0, 0, 0), "prctl")


def _check(result: int, subject: str) -> None:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), subject)
