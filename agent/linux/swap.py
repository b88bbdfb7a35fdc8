# SPDX-License-Identifier: Apache-2.0
"""Swap areas (man 2 swapon)."""

from __future__ import annotations

import os

from kata_agent.linux import libc


def swap_on(path: str | os.PathLike[str], flags: int = 0) -> None:
    """Swap on `path`, a file or a block device. Raises `OSError` that names it."""
    try:
        libc.call("swapon", os.fsencode(path), flags)
    except OSError as error:
        code = error.errno or 0
        raise OSError(
            code, f"cannot swap on {os.fspath(path)!r}: {os.strerror(code)}"
        ) from None
