# SPDX-License-Identifier: Apache-2.0
"""The pipe of the hooks, by itself; `test_hooks.py` has it with a runtime."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kata_agent.container.hook_output import QUOTED, HookOutput
from kata_agent.errors import Internal


async def test_only_the_end_of_long_output_is_quoted(tmp_path: Path) -> None:
    output = HookOutput(tmp_path / "output")
    output.make()
    written = b"x" * (1 << 20) + b"the reason\n"

    async def fail() -> None:
        with output.drained():
            await asyncio.to_thread(output.path.write_bytes, written)
            raise Internal("failed")

    with pytest.raises(Internal, match="xthe reason$") as caught:
        await fail()
    assert len(str(caught.value)) <= QUOTED + len("failed: hooks wrote: ")
    output.remove()
    output.remove()
    assert not output.path.exists()


async def test_an_error_without_output_stays_as_it_is(tmp_path: Path) -> None:
    output = HookOutput(tmp_path / "output")
    for _ in range(2):
        with pytest.raises(Internal, match="^failed$"):
            with output.drained():
                raise Internal("failed")
        output.remove()
        output.make()
