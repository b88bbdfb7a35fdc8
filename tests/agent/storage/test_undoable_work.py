# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from kata_agent.errors import Internal
from kata_agent.storage.undoable_work import make_in_thread
from kata_agent.undo import Undo


class Work:
    """Makes a file in a thread, when it is told to go on."""

    def __init__(self, file: Path, error: Exception | None = None) -> None:
        self.file = file
        self.undo = Undo()
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self._error = error

    def __call__(self, undo: Undo) -> None:
        self.begun.set()
        assert self.go_on.wait(20)
        self.file.touch()
        undo.callback(self.file.unlink)
        if self._error is not None:
            raise self._error

    async def cancel(self) -> asyncio.Task[None]:
        """Return a call that was cancelled while its thread worked."""
        call = asyncio.create_task(make_in_thread(self.undo, self))
        assert await asyncio.to_thread(self.begun.wait, 20)
        call.cancel()
        return call


async def test_the_undo_knows_what_was_made(tmp_path: Path) -> None:
    work = Work(tmp_path / "made")
    work.go_on.set()
    await make_in_thread(work.undo, work)
    assert work.file.exists()
    work.undo.close()
    assert not work.file.exists()


async def test_an_error_is_raised(tmp_path: Path) -> None:
    work = Work(tmp_path / "made", Internal("broken"))
    work.go_on.set()
    with pytest.raises(Internal, match="broken"):
        await make_in_thread(work.undo, work)


@pytest.mark.parametrize("error", [None, OSError("broken")])
async def test_a_cancellation_waits_for_the_work(
    tmp_path: Path, error: Exception | None
) -> None:
    work = Work(tmp_path / "made", error)
    call = await work.cancel()
    # The call ends after its thread, not before.
    await asyncio.sleep(0)
    assert not call.done()
    work.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await call
    work.undo.close()
    assert not work.file.exists()
