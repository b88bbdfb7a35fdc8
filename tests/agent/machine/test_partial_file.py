# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from kata_agent.machine.partial_file import PartialFile, put_in_place, temporary_name


def create(directory: Path, size: int) -> PartialFile:
    return PartialFile.create(os.open(directory, os.O_PATH | os.O_DIRECTORY), size)


def finish(partial: PartialFile, name: str, mode: int = 0o640) -> None:
    partial.finish(name, uid=os.getuid(), gid=os.getgid(), mode=mode)


def test_a_file_is_whole_when_every_byte_is_written(tmp_path: Path) -> None:
    partial = create(tmp_path, 6)
    partial.write(b"cde", 2)
    partial.write(b"f", 5)
    assert partial.has(2)
    assert not partial.has(1)
    assert not partial.is_whole()
    partial.write(b"ab", 0)
    assert partial.is_whole()
    finish(partial, "f")
    assert (tmp_path / "f").read_bytes() == b"abcdef"
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o640
    assert os.listdir(tmp_path) == ["f"]


def test_an_empty_file_is_whole_at_once(tmp_path: Path) -> None:
    partial = create(tmp_path, 0)
    assert partial.is_whole()
    partial.discard()


def test_a_discarded_file_leaves_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    create(tmp_path, 3).discard()
    assert os.listdir(tmp_path) == []
    partial = create(tmp_path, 3)
    (tmp_path / partial.name).unlink()
    partial.discard()
    assert [r.getMessage() for r in caplog.records] == ["partial file not removed"]
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_directory_is_closed_if_no_file_can_be_made(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    gone = tmp_path / "gone"
    gone.mkdir()
    parent = os.open(gone, os.O_PATH | os.O_DIRECTORY)
    gone.rmdir()
    with pytest.raises(FileNotFoundError):
        PartialFile.create(parent, 3)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_whole_directory_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "d/sub").mkdir(parents=True)
    (tmp_path / "new").write_text("file")
    parent = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)
    put_in_place(parent, "new", "d")
    os.close(parent)
    assert (tmp_path / "d").read_text() == "file"


def test_temporary_names_differ() -> None:
    assert len({temporary_name() for _ in range(100)}) == 100
