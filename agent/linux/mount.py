# SPDX-License-Identifier: Apache-2.0
"""The classic calls mount(2) and umount2(2), which take paths."""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Final

from kata_agent.linux.libc import PathLike, call

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

DATA_LIMIT: Final = os.sysconf("SC_PAGE_SIZE") - 1
"""Bytes of `data`: the kernel reads one page and silently drops the rest."""


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
