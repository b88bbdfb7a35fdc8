# SPDX-License-Identifier: Apache-2.0
"""test_copying.py has whole copies with programs that do nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from kata_host.ctl import silence
from kata_host.ctl.errors import CommandError
from kata_host.ctl.silence import answered, unless_silent


async def chunks(*, ends: bool) -> AsyncIterator[bytes]:
    yield b"a"
    yield b"b"
    if not ends:
        await asyncio.Event().wait()


async def test_output_that_ends_is_passed_on() -> None:
    passed = [data async for data in unless_silent(chunks(ends=True), "tar")]
    assert passed == [b"a", b"b"]


async def test_output_that_stops_without_end_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(silence, "SILENCE", 0.01)
    passed = unless_silent(chunks(ends=False), "tar")
    assert (await anext(passed), await anext(passed)) == (b"a", b"b")
    with pytest.raises(CommandError, match="cp: 'tar' in the guest: no answer for"):
        await anext(passed)


async def test_a_time_out_of_the_work_itself_stays_one() -> None:
    async def failing() -> None:
        raise TimeoutError("of the connection")

    with pytest.raises(TimeoutError, match="of the connection"):
        await answered(failing(), "tar")
