# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kata_host.image.directory_source import DirectorySource
from kata_host.image.errors import ImageError
from kata_host.image.layer_stream import opened_layer
from kata_host.image.limits import UnpackLimits
from kata_host.image.saved_image import Layer
from tests.helpers.saved_images import COMPRESSIONS, digest, entry, tar_of, zstd

TAR = tar_of(entry("file", b"x" * 5000))


def read(tmp_path: Path, packed: bytes, layer: Layer) -> bytes:
    (tmp_path / "layer").write_bytes(packed)
    with (
        DirectorySource(tmp_path) as source,
        opened_layer(source, layer, UnpackLimits()) as tar,
    ):
        return tar.read(512)


@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_both_digests_are_checked_to_the_end(tmp_path: Path, kind: str) -> None:
    packed = COMPRESSIONS[kind](TAR)
    layer = Layer("layer", digest(TAR), digest(packed), len(packed))
    assert TAR.startswith(read(tmp_path, packed, layer))
    other = digest(b"other")
    for changed in (replace(layer, diff_id=other), replace(layer, digest=other)):
        with pytest.raises(ImageError, match=f"^layer sha256:.*: digest is .*{other}"):
            read(tmp_path, packed, changed)
    with pytest.raises(ImageError, match=f"{len(packed)} bytes, and not 7"):
        read(tmp_path, packed, replace(layer, size=7))


def test_a_fault_names_the_layer_once(tmp_path: Path) -> None:
    layer = Layer("layer", digest(TAR))
    with pytest.raises(ImageError, match="^layer sha256:[0-9a-f]{12}: zstd: "):
        read(tmp_path, zstd(TAR)[:-3], layer)
    with pytest.raises(ImageError, match="^image .*: file 'none': No such file"):
        read(tmp_path, TAR, replace(layer, path="none"))
