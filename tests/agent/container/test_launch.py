# SPDX-License-Identifier: Apache-2.0
"""Starts that fail."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from kata_agent.child import Child
from kata_agent.container.launch import launch_on_pipes, launch_on_terminal
from kata_agent.runtime.standard_files import StandardFiles


def _descriptors() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


async def _fail(files: StandardFiles) -> Child:
    if files.stdin is not None:
        assert all(fd > 2 for fd in (files.stdin, files.stdout or 0, files.stderr or 0))
    raise RuntimeError("no start")


async def test_a_failure_leaves_nothing_open(tmp_path: Path) -> None:
    before = _descriptors()
    with pytest.raises(RuntimeError):
        await launch_on_pipes(_fail, runs=True)
    with pytest.raises(RuntimeError):
        await launch_on_terminal(_fail, sockets=tmp_path)
    for _ in range(3):
        await asyncio.sleep(0)
    assert _descriptors() == before
    assert list(tmp_path.iterdir()) == []
