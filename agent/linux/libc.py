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
    """Make the system call `number` with integers and ctypes values.

    `path` names the object in the error. Raises `OSError`.
    """
    result: int = _LIBC.syscall(ctypes.c_long(number), *_widened(arguments))
    if result == -1:
        raise error(path)
    return result


def call(function: str, *arguments: object, path: PathLike | None = None) -> int:
    """Call a libc function that returns -1 and sets errno when it fails.

    `path` names the object in the error. Raises `OSError`.
    """
    result: int = getattr(_LIBC, function)(*_widened(arguments))
    if result == -1:
        raise error(path)
    return result


def _widened(arguments: tuple[object, ...]) -> list[object]:
    """Make each int a C long, because variadic functions read whole registers."""
    return [
        ctypes.c_long(argument) if isinstance(argument, int) else argument
        for argument in arguments
    ]


def error(path: PathLike | None = None) -> OSError:
    """Return the present errno as an exception."""
    number = ctypes.get_errno()
    if path is None:
        return OSError(number, os.strerror(number))
    return OSError(number, os.strerror(number), os.fspath(path))
