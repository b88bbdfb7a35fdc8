# SPDX-License-Identifier: Apache-2.0
"""System calls by number or by name, with errno turned into `OSError`.

Every call releases the interpreter's lock while the kernel works.
"""

from __future__ import annotations

import ctypes
import os
from typing import Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long

PathLike = str | os.PathLike[str]


def syscall(number: int, *arguments: object, path: PathLike | None = None) -> int:
    """Make system call `number`; pass integers and ctypes values.

    `path` only names the object in the error.
    """
    result: int = _LIBC.syscall(ctypes.c_long(number), *_widened(arguments))
    if result == -1:
        raise error(path)
    return result


def call(function: str, *arguments: object, path: PathLike | None = None) -> int:
    """Call the libc `function`, which returns -1 and sets errno on failure."""
    result: int = getattr(_LIBC, function)(*_widened(arguments))
    if result == -1:
        raise error(path)
    return result


def _widened(arguments: tuple[object, ...]) -> list[object]:
    """Fill whole registers, as variadic functions read them: an int is a long."""
    return [
        ctypes.c_long(argument) if isinstance(argument, int) else argument
        for argument in arguments
    ]


def error(path: PathLike | None = None) -> OSError:
    """Return errno as the exception it means."""
    number = ctypes.get_errno()
    if path is None:
        return OSError(number, os.strerror(number))
    return OSError(number, os.strerror(number), os.fspath(path))
