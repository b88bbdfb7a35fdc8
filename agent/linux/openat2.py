# SPDX-License-Identifier: Apache-2.0
"""Open a path that a client or a container influences (man 2 openat2).

The kernel resolves the path, so that nothing can change between check and use.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import Final

from kata_agent.linux import libc

NR_OPENAT2: Final = 437
"""The same on every architecture (include/uapi/asm-generic/unistd.h)."""
RETRIES: Final = 128
"""Tries, because a rename during the walk makes the kernel answer EAGAIN."""
RESOLVE_NO_XDEV: Final = 0x01
RESOLVE_NO_MAGICLINKS: Final = 0x02
RESOLVE_NO_SYMLINKS: Final = 0x04
RESOLVE_BENEATH: Final = 0x08
RESOLVE_IN_ROOT: Final = 0x10

_OPEN_HOW: Final = struct.Struct("=QQQ")
"""struct open_how: flags, mode, resolve."""


def openat2(
    directory: int, path: str, flags: int, *, mode: int = 0, resolve: int
) -> int:
    """Open `path` relative to the open `directory`; always close-on-exec.

    Raises `OSError`: EXDEV for a path that leaves the directory, ELOOP for a
    link that `resolve` refuses.
    """
    how = _OPEN_HOW.pack(flags | os.O_CLOEXEC, mode, resolve)
    for _ in range(RETRIES):
        try:
            return libc.syscall(
                NR_OPENAT2,
                directory,
                os.fsencode(path),
                how,
                ctypes.c_size_t(_OPEN_HOW.size),
            )
        except OSError as error:
            code = error.errno or 0
            if code != errno.EAGAIN:
                break
            # Not EAGAIN to the caller, for whom it means that nothing more can be
            # started.
            code = errno.EBUSY
    raise OSError(code, f"cannot open {path!r}: {os.strerror(code)}")


def open_beneath(directory: int, path: str, flags: int, *, mode: int = 0) -> int:
    """Open `path`, which may neither leave `directory` nor use a magic link."""
    return openat2(
        directory,
        path,
        flags,
        mode=mode,
        resolve=RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    )


def open_in_root(root: int, path: str, flags: int, *, mode: int = 0) -> int:
    """Open `path` as a process with `root` as its root directory would."""
    return openat2(
        root, path, flags, mode=mode, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
    )
