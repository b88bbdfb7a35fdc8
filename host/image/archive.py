# SPDX-License-Identifier: Apache-2.0
"""A saved image in a file or a directory, of whatever format."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kata_host.explain import explain
from kata_host.image.directory_source import DirectorySource
from kata_host.image.docker_archive import MANIFEST, read_docker_archive
from kata_host.image.errors import ImageError
from kata_host.image.file_source import FileSource
from kata_host.image.layer_stream import opened_layer
from kata_host.image.limits import UnpackLimits
from kata_host.image.oci_layout import INDEX, MARKER, read_oci_layout
from kata_host.image.platform import Platform, own_platform
from kata_host.image.saved_image import Layer, SavedImage
from kata_host.image.tar_source import opened_tar
from kata_host.tar.readable import Readable

_FORMATS: Final = f"neither {MARKER} nor {MANIFEST} is in it"


class Archive:
    """An image that was saved, as long as its file is open."""

    def __init__(self, source: FileSource, image: SavedImage) -> None:
        self.image = image
        self._source = source

    @contextlib.contextmanager
    def opened_layer(self, layer: Layer, limits: UnpackLimits) -> Iterator[Readable]:
        """See `kata_host.image.layer_stream.opened_layer`."""
        with opened_layer(self._source, layer, limits) as tar:
            yield tar


@contextlib.contextmanager
def opened_archive(
    path: Path,
    scratch: Path,
    *,
    select: str | None = None,
    platform: Platform | None = None,
) -> Iterator[Archive]:
    """Provide the image at `path`: a layout of the OCI, or what `docker save` wrote.

    Both may be a directory or a tar archive, plain, gzip or zstd. Of several images
    `select` says the reference, and of several platforms that of this host is taken.
    `scratch` is a directory for an archive that is compressed.

    Raises `ImageError`.
    """
    subject = f"image '{path}'"
    try:
        with contextlib.ExitStack() as stack:
            source: FileSource
            if path.is_dir():
                source = stack.enter_context(DirectorySource(path))
            else:
                source = stack.enter_context(opened_tar(path, scratch))
            image = _read(source, subject, platform or own_platform(), select)
            yield Archive(source, image)
    except OSError as error:
        raise ImageError(f"image {explain(error)}") from error


def is_archive(path: Path) -> bool:
    """Tell whether a directory is a saved image, and no root file system."""
    return (path / MARKER).is_file() or (path / MANIFEST).is_file()


def _read(
    source: FileSource, subject: str, wanted: Platform, select: str | None
) -> SavedImage:
    if source.has(MARKER) and source.has(INDEX):
        image = read_oci_layout(source, subject, wanted, select)
    elif source.has(MANIFEST):
        image = read_docker_archive(source, subject, select)
    else:
        raise ImageError(f"{subject}: no saved image: {_FORMATS}")
    found = image.config.platform
    if found.architecture and wanted.rank(found) is None:
        raise ImageError(f"{subject}: made for {found}, and this host is {wanted}")
    return image
