# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from kata_agent.errors import Internal
from kata_agent.storage.undoable_work import make_in_thread


class Work:
    """Makes a file in a thread, when it is told to go on."""

    def __init__(
        self,
        file: Path,
        error: Exception | None = None,
        undo_error: Exception | None = None,
    ) -> None:
        self.file = file
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self._error = error
        self._undo_error = undo_error

    def __call__(self) -> ExitStack:
        self.begun.set()
        assert self.go_on.wait(20)
        if self._error is not None:
            raise self._error
        self.file.touch()
        undo = ExitStack()
        undo.callback(self._undo)
        return undo

    def _undo(self) -> None:
        self.file.unlink()
        if self._undo_error is not None:
            raise self._undo_error

    async def cancel(self) -> asyncio.Task[ExitStack]:
        """Return a call that was cancelled while its thread worked."""
        call = asyncio.create_task(make_in_thread(self))
        assert await asyncio.to_thread(self.begun.wait, 20)
        call.cancel()
        return call


async def test_the_undo_is_returned(tmp_path: Path) -> None:
    work = Work(tmp_path / "made")
    work.go_on.set()
    undo = await make_in_thread(work)
    assert work.file.exists()
    undo.close()
    assert not work.file.exists()


async def test_an_error_is_raised(tmp_path: Path) -> None:
    work = Work(tmp_path / "made", Internal("broken"))
    work.go_on.set()
    with pytest.raises(Internal, match="broken"):
        await make_in_thread(work)


async def test_after_a_cancellation_the_work_is_undone(tmp_path: Path) -> None:
    work = Work(tmp_path / "made")
    call = await work.cancel()
    # The call ends after its thread, not before.
    await asyncio.sleep(0)
    assert not call.done()
    work.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not work.file.exists()


async def test_an_error_does_not_replace_a_cancellation(tmp_path: Path) -> None:
    work = Work(tmp_path / "made", OSError("broken"))
    call = await work.cancel()
    work.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_a_failed_undo_does_not_replace_it_either_but_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    work = Work(tmp_path / "made", undo_error=OSError("stuck"))
    call = await work.cancel()
    work.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert [record.getMessage() for record in caplog.records] == [
        "cancelled, but not undone"
    ]
