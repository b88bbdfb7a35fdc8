# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kata_host.image.directory_source import DirectorySource
from kata_host.image.errors import ImageError
from kata_host.image.oci_layout import read_oci_layout
from kata_host.image.platform import Platform
from kata_host.image.saved_image import SavedImage
from tests.helpers.saved_images import (
    OCI_INDEX,
    OciLayout,
    config_of,
    digest,
    entry,
    named,
    tar_of,
)

HERE = Platform("linux", "amd64")
LAYER = tar_of(entry("file", b"x"))


def read(layout: Path, select: str | None = None) -> SavedImage:
    with DirectorySource(layout) as source:
        return read_oci_layout(source, "image 'a'", HERE, select)


@pytest.fixture
def layout(tmp_path: Path) -> OciLayout:
    return OciLayout(tmp_path / "layout")


def platform(architecture: str, os: str = "linux") -> dict[str, Any]:
    return {"platform": {"os": os, "architecture": architecture}}


def test_an_image_has_its_config_and_layers(layout: OciLayout) -> None:
    descriptor = layout.image(LAYER, Cmd=["sh"], descriptor=named("demo:1"))
    image = read(layout.index(descriptor))
    assert image.names == ("demo:1",)
    assert image.config.cmd == ("sh",)
    assert image.id == digest(config_of([LAYER], Cmd=["sh"]))
    assert [layer.diff_id for layer in image.layers] == [digest(LAYER)]
    assert image.layers[0].size == len(LAYER)


def test_the_platform_of_this_host_is_taken(layout: OciLayout) -> None:
    images = [
        layout.image(LAYER, Cmd=[name], descriptor=platform(name))
        for name in ("arm64", "amd64", "s390x")
    ]
    attestation = layout.image(b"", descriptor=platform("unknown", "unknown"))
    inner = {"manifests": [*images, attestation]}
    nested = layout.blob(json.dumps(inner).encode(), OCI_INDEX, **named("demo:1"))
    for path in (layout.index(*images), layout.index(nested)):
        assert read(path).config.cmd == ("amd64",)


def test_one_of_several_images_is_selected(layout: OciLayout) -> None:
    images = [
        layout.image(LAYER, Cmd=[name], descriptor=named(name)) for name in ("a", "b")
    ]
    path = layout.index(*images)
    with pytest.raises(ImageError, match="several images, select one of: a, b"):
        read(path)
    assert read(path, "b").config.cmd == ("b",)
    assert read(path, images[0]["digest"]).config.cmd == ("a",)
    with pytest.raises(ImageError, match="no image 'c'"):
        read(path, "c")


def manifest(layout: OciLayout, **changes: Any) -> dict[str, Any]:
    whole = {"config": layout.blob(config_of([LAYER])), "layers": [layout.blob(LAYER)]}
    return layout.blob(json.dumps({**whole, **changes}).encode())


def deep(layout: OciLayout) -> dict[str, Any]:
    descriptor = layout.image(LAYER)
    for _ in range(5):
        descriptor = layout.blob(json.dumps({"manifests": [descriptor]}).encode())
    return descriptor


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (
            lambda layout: layout.image(LAYER, descriptor=platform("arm64")),
            "linux/arm64",
        ),
        (lambda layout: manifest(layout, layers=[]), "0 layers, and 1 diff_ids"),
        (lambda layout: manifest(layout, layers={}), "layers: not an array"),
        (lambda layout: manifest(layout, config=None), "invalid digest None"),
        (
            lambda layout: manifest(
                layout, layers=[{**layout.blob(LAYER), "mediaType": "x+encrypted"}]
            ),
            "encrypted",
        ),
        (deep, "more than 4 levels"),
        (lambda layout: {"digest": digest(b"gone")}, "No such file"),
        (lambda layout: {"digest": "sha256:../x"}, "invalid digest"),
        (lambda layout: {"digest": [1]}, "invalid digest"),
        (
            lambda layout: layout.blob(
                b"{}", "application/vnd.docker.distribution.manifest.v1+prettyjws"
            ),
            "schema 1",
        ),
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused(
    layout: OciLayout, make: Callable[[OciLayout], dict[str, Any]], fault: str
) -> None:
    with pytest.raises(ImageError, match=f"^image .*: .*{fault}"):
        read(layout.index(make(layout)))


def test_a_manifest_that_was_changed_is_refused(layout: OciLayout) -> None:
    descriptor = layout.image(LAYER)
    blob = layout.blobs / descriptor["digest"].removeprefix("sha256:")
    blob.write_bytes(blob.read_bytes() + b" ")
    with pytest.raises(ImageError, match="digest is sha256:.*, not sha256:"):
        read(layout.index(descriptor))


def test_a_layout_without_images_says_so(layout: OciLayout) -> None:
    with pytest.raises(ImageError, match="only for: none"):
        read(layout.index())
