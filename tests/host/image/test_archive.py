# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from kata_host.image.archive import is_archive, opened_archive
from kata_host.image.errors import ImageError
from kata_host.image.limits import UnpackLimits
from kata_host.image.platform import Platform
from kata_host.image.tar_source import opened_tar
from tests.helpers.saved_images import (
    COMPRESSIONS,
    OciLayout,
    config_of,
    docker_archive,
    entry,
    named,
    read_all,
    tar_of,
)

LAYERS = [tar_of(entry(name, b"x")) for name in ("one", "two")]


def content(path: Path, scratch: Path) -> list[bytes]:
    with opened_archive(path, scratch) as archive:
        assert archive.image.names == ("demo:1",)
        assert archive.image.config.cmd == ("sh",)
        read = []
        for layer in archive.image.layers:
            with archive.opened_layer(layer, UnpackLimits()) as tar:
                read.append(read_all(tar))
        return read


@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_every_format_is_recognised_by_its_content(tmp_path: Path, kind: str) -> None:
    compress = COMPRESSIONS[kind]
    layout = OciLayout(tmp_path / "layout")
    layout.index(
        layout.image(*LAYERS, compress=compress, Cmd=["sh"], descriptor=named("demo:1"))
    )
    whole = docker_archive(tmp_path / "a", *LAYERS, compress=compress, Cmd=["sh"])
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    for path in (layout.path, layout.archive(tmp_path / "b"), whole):
        assert content(path, scratch) == LAYERS
        assert not list(scratch.iterdir())


def test_docker_save_may_be_unpacked(tmp_path: Path) -> None:
    path = docker_archive(tmp_path / "a.tar", *LAYERS, Cmd=["sh"])
    top = tmp_path / "a"
    with opened_tar(path, tmp_path) as source:
        for name in ("manifest.json", "config.json", "0/layer.tar", "1/layer.tar"):
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            with source.open(name) as file:
                (top / name).write_bytes(file.read(1 << 20))
    assert is_archive(top)
    assert not is_archive(tmp_path)
    assert content(top, tmp_path) == LAYERS


def test_what_is_no_image_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "root.tar").write_bytes(tar_of(entry("bin/sh", b"x")))
    for path in (tmp_path, tmp_path / "root.tar"):
        with pytest.raises(ImageError, match="neither oci-layout nor manifest.json"):
            with opened_archive(path, tmp_path):
                pass
    with pytest.raises(ImageError, match="^image .*none: No such file"):
        with opened_archive(tmp_path / "none", tmp_path):
            pass


def test_an_image_of_another_platform_says_so(tmp_path: Path) -> None:
    layout = OciLayout(tmp_path / "layout")
    config = config_of(LAYERS).replace(b'"linux"', b'"plan9"')
    layout.index(layout.image(*LAYERS, config=config))
    with pytest.raises(ImageError, match="made for plan9/.*, and this host is linux/"):
        with opened_archive(layout.path, tmp_path):
            pass
    with pytest.raises(ImageError, match="this host is linux/s390x"):
        with opened_archive(layout.path, tmp_path, platform=Platform("linux", "s390x")):
            pass
