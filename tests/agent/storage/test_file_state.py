# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_agent.storage.file_state import FileState


def read(path: Path) -> FileState:
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW)
    try:
        return FileState.read(descriptor)
    finally:
        os.close(descriptor)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.write_text("text")
    return file


def test_an_untouched_file_is_the_same(file: Path) -> None:
    assert read(file).is_same(read(file))
    assert not read(file).is_same(None)


def test_content_mode_or_another_file_is_a_change(file: Path) -> None:
    before = read(file)
    file.write_text("another text")
    assert not read(file).is_same(before)
    before = read(file)
    file.chmod(0o600)
    assert not read(file).is_same(before)
    before = read(file)
    fresh = file.with_name("fresh")
    fresh.write_bytes(file.read_bytes())
    os.utime(fresh, ns=(before.modified_ns, before.modified_ns))
    fresh.chmod(0o600)
    fresh.rename(file)
    assert not read(file).is_same(before)


def test_a_new_target_of_a_symlink_is_a_change(file: Path) -> None:
    link = file.with_name("link")
    link.symlink_to("a")
    before = read(link)
    assert before.link_target == "a"
    link.unlink()
    link.symlink_to("b")
    assert not read(link).is_same(before)


def test_a_directory_is_the_same_whatever_its_entries(tmp_path: Path) -> None:
    before = read(tmp_path)
    (tmp_path / "new").touch()
    assert read(tmp_path).is_same(before)
    tmp_path.chmod(0o711)
    assert not read(tmp_path).is_same(before)


def test_directories_come_first_and_symlinks_last(file: Path) -> None:
    link = file.with_name("link")
    link.symlink_to("a")
    ranks = [read(path).rank for path in (file.parent, file, link)]
    assert ranks == [0, 1, 2]


def test_types_are_compared_without_the_permissions(file: Path) -> None:
    before = read(file)
    file.chmod(0o777)
    assert read(file).has_type_of(before)
    assert not read(file.parent).has_type_of(before)
