# SPDX-License-Identifier: Apache-2.0
"""A copy that is there as a whole, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from kata_host.tar.part import Part
from kata_host.uncancelled import uncancelled


@contextlib.asynccontextmanager
async def placed(target: Path) -> AsyncIterator[Path]:
    """Provide a path near `target`, which becomes `target` at the block's end.

    If the block fails, what is at the path is removed, and `target` is as it was. A
    directory that is there is provided itself, to be added to. Raises `OSError`.
    """
    if await asyncio.to_thread(_is_directory, target):
        yield target
        return
    part = Part(target.parent)
    try:
        # Not cancelled halfway, which would leave the folder.
        await uncancelled(asyncio.to_thread(_make, part, target))
        copy = part.path / "copy"
        yield copy
        await uncancelled(asyncio.to_thread(_rename, copy, target))
    finally:
        await uncancelled(asyncio.to_thread(part.remove))


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _make(part: Part, target: Path) -> None:
    try:
        part.make()
    except OSError as error:
        raise OSError(error.errno, error.strerror, target) from error


def _rename(part: Path, target: Path) -> None:
    try:
        os.rename(part, target)
    except OSError as error:
        raise OSError(error.errno, error.strerror, target) from error
