# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from kata_host.image.errors import ImageError
from kata_host.image.store_index import StoreIndex, read_index, write_index


def test_a_table_is_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "index.json"
    assert read_index(path) == StoreIndex()
    index = StoreIndex(layer_sizes={"sha256:0": 7})
    index.put("sha256:1", "a:1", 5)
    index.put("sha256:1", "b:1", 6)
    write_index(index, path, tmp_path / "new")
    assert read_index(path) == index
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_is_of_one_image() -> None:
    index = StoreIndex()
    index.put("sha256:1", "a:1", 5)
    index.put("sha256:1", "b:1", 5)
    index.put("sha256:2", "a:1", 6)
    assert (index.id_of("a:1"), index.id_of("b:1")) == ("sha256:2", "sha256:1")
    index.put("sha256:2", "b:1", 7)
    assert list(index.images) == ["sha256:2"]
    index.take("a:1")
    index.take("none")
    assert index.images["sha256:2"].names == ("b:1",)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"version": 2}', '{"version": 1, "images": {"a": 1}}']
)
def test_what_is_no_table_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / "index.json").write_text(content)
    with pytest.raises(ImageError, match=r"^image store: .*index.json: not a table"):
        read_index(tmp_path / "index.json")
