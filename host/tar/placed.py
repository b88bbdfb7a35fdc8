# SPDX-License-Identifier: Apache-2.0
"""A copy that is there as a whole, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from kata_host.uncancelled import uncancelled


@contextlib.asynccontextmanager
async def placed(target: Path) -> AsyncIterator[Path]:
    """Provide a path beside `target`, which becomes `target` at the block's end.

    If the block fails, what is at the path is removed, and `target` is as it was. A
    directory that is there is provided itself, to be added to. Raises `OSError`.
    """
    if await asyncio.to_thread(_is_directory, target):
        yield target
        return
    # Short, because the name of the target may have all the bytes that a name has.
    part = target.with_name(f".kata-{os.urandom(8).hex()}")
    try:
        yield part
        await uncancelled(asyncio.to_thread(_rename, part, target))
    except BaseException:
        await uncancelled(asyncio.to_thread(_remove, part))
        raise


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _rename(part: Path, target: Path) -> None:
    try:
        os.rename(part, target)
    except OSError as error:
        raise OSError(error.errno, error.strerror, target) from error


def _remove(path: Path) -> None:
    if _is_directory(path):
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
