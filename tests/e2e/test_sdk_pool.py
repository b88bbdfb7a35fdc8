# SPDX-License-Identifier: Apache-2.0
"""A pool of real guests."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kata_host import Guest, Pool
from kata_host.errors import NotFound


async def test_each_command_has_a_guest_of_its_own(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(scratch))
    async with Pool(2, Guest.local) as pool:
        results = await asyncio.gather(*(pool.run(["hostname"]) for _ in range(4)))
        with pytest.raises(NotFound):
            await pool.run(["no-such-command"])
        results.append(await pool.run(["hostname"]))
    assert len({result.check().text for result in results}) == 5
