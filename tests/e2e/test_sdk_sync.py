# SPDX-License-Identifier: Apache-2.0
"""The SDK without asyncio, with real guests."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kata_host.errors import NotFound, TimedOut
from kata_host.sync import Guest, Pool


@pytest.fixture(autouse=True)
def _temporary(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(scratch))


def test_threads_share_a_guest() -> None:
    with Guest.local() as guest, ThreadPoolExecutor(3) as threads:
        words = ["one", "two", "three"]
        texts = threads.map(lambda it: guest.run(["echo", it]).text, words)
        assert [*texts] == ["one\n", "two\n", "three\n"]
        with pytest.raises(TimedOut):
            guest.run(["sleep", "1000"], timeout=1)


def test_a_box_has_files_and_processes(tmp_path: Path) -> None:
    with Guest.local() as guest, guest.container() as box:
        box.files.write("/a/b", "text")
        box.files.download("/a", tmp_path / "a")
        assert (tmp_path / "a" / "b").read_text() == "text"
        with pytest.raises(NotFound):
            box.files.read("/none")
        with box.start(["sh", "-c", "echo out; echo err >&2; cat"]) as process:
            assert process.read_until("\n") == b"out\n"
            assert process.read_stderr() == b"err\n"
            process.write("in")
            process.close_stdin()
            assert b"".join(process) == b"in"
            assert process.wait() == 0


def test_a_pool_lends_guests() -> None:
    with Pool(1, Guest.local) as pool:
        assert pool.run(["echo", "hi"]).text == "hi\n"
        with pool.guest() as guest:
            assert guest.run(["echo", "hi"]).text == "hi\n"
