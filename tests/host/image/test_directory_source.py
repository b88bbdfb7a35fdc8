# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_host.image.directory_source import DirectorySource
from kata_host.image.errors import ImageError


def test_files_are_found_inside(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/file").write_text("x")
    (tmp_path / "link").symlink_to("a/file")
    with DirectorySource(tmp_path) as source:
        assert source.has("a/file")
        assert not source.has("b")
        with source.open("link") as file:
            assert file.read(9) == b"x"


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("none", "No such file"),
        ("out", "[Cc]ross-device"),
        ("../secret", "[Cc]ross-device"),
        ("/etc/passwd", "[Cc]ross-device"),
        ("fifo", "not a regular file"),
        ("directory", "not a regular file"),
    ],
)
def test_nothing_leads_outside(tmp_path: Path, name: str, fault: str) -> None:
    (tmp_path / "secret").write_text("x")
    top = tmp_path / "image"
    top.mkdir()
    (top / "out").symlink_to("../secret")
    os.mkfifo(top / "fifo")
    (top / "directory").mkdir()
    with DirectorySource(top) as source:
        with pytest.raises(ImageError, match=f"^image .*: file .*: .*{fault}"):
            source.open(name)
