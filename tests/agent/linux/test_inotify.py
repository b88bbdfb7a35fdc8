# SPDX-License-Identifier: Apache-2.0
"""Changes of a watched file are read as they come."""

from __future__ import annotations

import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from kata_agent.linux.inotify import IN_IGNORED, IN_MODIFY, Inotify


@pytest.fixture
def inotify() -> Iterator[Inotify]:
    descriptor = Inotify()
    yield descriptor
    descriptor.close()


def test_a_write_is_an_event_of_its_watch(inotify: Inotify, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).touch()
    watches = [inotify.add_watch(tmp_path / name, IN_MODIFY) for name in ("one", "two")]
    assert list(inotify.read()) == []
    (tmp_path / "two").write_text("x")
    assert select.select([inotify], [], [], 10)[0]
    assert list(inotify.read()) == [(watches[1], IN_MODIFY)]


def test_a_removed_file_ends_its_watch(inotify: Inotify, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    watch = inotify.add_watch(file, IN_MODIFY)
    file.unlink()
    assert list(inotify.read()) == [(watch, IN_IGNORED)]
    with pytest.raises(OSError, match="Invalid argument"):
        inotify.remove_watch(watch)


def test_a_watch_that_was_removed_tells_no_more(
    inotify: Inotify, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.touch()
    watch = inotify.add_watch(file, IN_MODIFY)
    inotify.remove_watch(watch)
    file.write_text("x")
    assert list(inotify.read()) == [(watch, IN_IGNORED)]


def test_a_file_that_is_not_there_cannot_be_watched(
    inotify: Inotify, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        inotify.add_watch(tmp_path / "missing", IN_MODIFY)
