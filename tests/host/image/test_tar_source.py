# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from kata_host.image.errors import ImageError
from kata_host.image.tar_source import opened_tar
from tests.helpers.saved_images import COMPRESSIONS, entry, hard_link, symlink, tar_of

CONTENT = tar_of(
    entry("./index.json", b"{}"),
    entry("one/layer.tar", b"layer"),
    symlink("two/layer.tar", "../one/layer.tar"),
    hard_link("three/layer.tar", "one/layer.tar"),
    symlink("round", "round"),
    symlink("out", "../../../../../../../etc/passwd"),
)


@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_files_are_found_in_an_archive_of_any_compression(
    tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(COMPRESSIONS[kind](CONTENT))
    with opened_tar(path, tmp_path) as source:
        assert source.has("index.json")
        for name in ("one", "two", "three"):
            with source.open(f"{name}/layer.tar") as file:
                assert file.read(100) == b"layer"
        for name in ("none", "round", "out", "one"):
            assert not source.has(name)
            with pytest.raises(ImageError, match="No such file"):
                source.open(name)
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_no_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "image.tar"
    path.write_bytes(b"no archive at all" * 100)
    with pytest.raises(ImageError, match=r"^image '.*/image.tar': after the start"):
        with opened_tar(path, tmp_path):
            pass
