# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from kata_host.image.config import ImageConfig
from kata_host.image.container_image import ContainerImage


def test_an_image_without_a_name_is_named_by_its_id() -> None:
    config = ImageConfig.parse(b"{}", "")
    id = "sha256:" + "0123456789" * 6 + "0123"
    assert ContainerImage(id, ("a:1", "b:1"), config, 0, 0).name == "a:1"
    assert ContainerImage(id, (), config, 0, 0).name == "sha256:012345678901"
