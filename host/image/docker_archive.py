# SPDX-License-Identifier: Apache-2.0
"""The format of `docker save` (moby, image/spec/v1.2.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from kata_host.image.config import ImageConfig
from kata_host.image.document import as_list, as_object, as_text, parse_document
from kata_host.image.errors import ImageError
from kata_host.image.file_source import FileSource, read_document
from kata_host.image.saved_image import Layer, SavedImage

MANIFEST: Final = "manifest.json"


def read_docker_archive(
    source: FileSource, subject: str, select: str | None
) -> SavedImage:
    """Read the only image, or the one with the tag `select`. Raises `ImageError`.

    The layers' own digests are all that the format has, and they are of their tars.
    """
    content = read_document(source, MANIFEST, subject)
    images = [
        as_object(item, f"{subject}: manifest")
        for item in as_list(parse_document(content, subject), f"{subject}: manifest")
    ]
    if select is not None:
        images = [image for image in images if select in _tags(image, subject)]
    if len(images) != 1:
        tags = ", ".join(tag for image in images for tag in _tags(image, subject))
        if select is not None or not images:
            raise ImageError(f"{subject}: no image {select or ''}".rstrip())
        raise ImageError(f"{subject}: several images, select one of: {tags}")
    return _image(source, images[0], subject)


def _tags(image: Mapping[str, Any], subject: str) -> tuple[str, ...]:
    tags = as_list(image.get("RepoTags"), f"{subject}: RepoTags")
    return tuple(as_text(tag, f"{subject}: RepoTags") for tag in tags)


def _image(source: FileSource, image: Mapping[str, Any], subject: str) -> SavedImage:
    path = as_text(image.get("Config"), f"{subject}: Config")
    content = read_document(source, path, f"{subject}: config")
    config = ImageConfig.parse(content, f"{subject}: config")
    paths = as_list(image.get("Layers"), f"{subject}: Layers")
    if len(paths) != len(config.diff_ids):
        raise ImageError(
            f"{subject}: {len(paths)} layers, and {len(config.diff_ids)} diff_ids"
        )
    layers = [
        Layer(as_text(path, f"{subject}: Layers"), diff_id)
        for path, diff_id in zip(paths, config.diff_ids, strict=True)
    ]
    return SavedImage(_tags(image, subject), content, config, tuple(layers))
