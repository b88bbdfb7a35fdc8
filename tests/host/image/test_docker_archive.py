# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest

from kata_host.image.directory_source import DirectorySource
from kata_host.image.docker_archive import read_docker_archive
from kata_host.image.errors import ImageError
from kata_host.image.saved_image import SavedImage
from tests.helpers.saved_images import config_of, digest, entry, tar_of

LAYER = tar_of(entry("file", b"x"))


def write(path: Path, *images: dict[str, object]) -> Path:
    (path / "config.json").write_bytes(config_of([LAYER], Cmd=["sh"]))
    (path / "manifest.json").write_text(json.dumps(images))
    return path


def read(path: Path, select: str | None = None) -> SavedImage:
    with DirectorySource(path) as source:
        return read_docker_archive(source, "image 'a'", select)


def image(*tags: str, layers: object = ("1/layer.tar",)) -> dict[str, object]:
    return {"Config": "config.json", "RepoTags": tags, "Layers": layers}


def test_an_image_has_its_config_and_layers(tmp_path: Path) -> None:
    found = read(write(tmp_path, image("demo:1", "demo:2")))
    assert found.names == ("demo:1", "demo:2")
    assert found.config.cmd == ("sh",)
    (layer,) = found.layers
    assert (layer.path, layer.diff_id) == ("1/layer.tar", digest(LAYER))


def test_one_of_several_images_is_selected(tmp_path: Path) -> None:
    write(tmp_path, image("a:1"), image("b:1"))
    with pytest.raises(ImageError, match="several images, select one of: a:1, b:1"):
        read(tmp_path)
    assert read(tmp_path, "b:1").names == ("b:1",)
    with pytest.raises(ImageError, match="no image c:1"):
        read(tmp_path, "c:1")


@pytest.mark.parametrize(
    ("images", "fault"),
    [
        ([], "no image"),
        ([image(layers=[])], "0 layers, and 1 diff_ids"),
        ([image(layers=[7])], "Layers: not a string"),
        ([{"Config": "../../etc/passwd"}], "[Cc]ross-device"),
        ([{}], "file ''"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused(
    tmp_path: Path, images: list[dict[str, object]], fault: str
) -> None:
    with pytest.raises(ImageError, match=f"^image .*{fault}"):
        read(write(tmp_path, *images))
