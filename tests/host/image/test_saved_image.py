# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from kata_host.image.config import ImageConfig
from kata_host.image.saved_image import Layer, SavedImage


def test_an_image_has_the_id_that_docker_shows() -> None:
    image = SavedImage((), b"{}", ImageConfig.parse(b"{}", ""), ())
    assert image.id.startswith("sha256:44136fa355b3678a")


def test_a_layer_is_named_by_the_start_of_its_digest() -> None:
    layer = Layer("layer.tar", "sha256:0123456789abcdef0123")
    assert layer.subject == "layer sha256:0123456789ab"
