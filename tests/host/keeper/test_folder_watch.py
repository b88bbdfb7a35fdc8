# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kata_host.keeper.folder_watch import FolderWatch


async def test_changes_wake_a_waiter(tmp_path: Path) -> None:
    with FolderWatch(tmp_path) as watch:
        file = open(tmp_path / "a", "wb", buffering=0)
        await watch.wait()
        waiting = asyncio.ensure_future(watch.wait())
        file.write(b"x")
        await waiting
        waiting = asyncio.ensure_future(watch.wait())
        file.close()
        await waiting


def test_a_folder_is_needed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="none"):
        FolderWatch(tmp_path / "none")
