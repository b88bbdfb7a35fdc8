# SPDX-License-Identifier: Apache-2.0
"""Steps that are waited for, and kept until they are done."""

from __future__ import annotations

import pytest

from kata_agent.async_undo import AsyncUndo


async def test_a_step_that_fails_stays_with_those_before_it() -> None:
    undo, log, busy = AsyncUndo(), list[str](), [True]

    async def step(name: str) -> None:
        if busy and name == "unmount":
            raise OSError("busy")
        log.append(name)

    for name in ("remove", "unmount", "close"):
        undo.callback(step, name)
    with pytest.raises(OSError, match="busy"):
        await undo.close()
    assert log == ["close"]
    busy.clear()
    await undo.close()
    await undo.close()
    assert log == ["close", "unmount", "remove"]
