# SPDX-License-Identifier: Apache-2.0
"""The tar of a layer: decompressed, bounded, and checked against its digests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from kata_host.image.bounded_reader import BoundedReader
from kata_host.image.compression import decompressed
from kata_host.image.digest import SHA256, DigestReader, algorithm_of
from kata_host.image.errors import ImageError
from kata_host.image.file_source import FileSource
from kata_host.image.limits import UnpackLimits
from kata_host.image.saved_image import Layer
from kata_host.tar.readable import Readable
from kata_host.tar.tar_entries import CHUNK


@contextlib.contextmanager
def opened_layer(
    source: FileSource, layer: Layer, limits: UnpackLimits
) -> Iterator[Readable]:
    """Provide the uncompressed tar; check size and digests at the end of the block.

    What the block has done with the bytes counts only when it ends without an error.
    Raises `ImageError` with the layer in front.
    """
    with source.open(layer.path) as file:
        if layer.size not in (None, file.size):
            raise ImageError(
                f"{layer.subject}: {file.size} bytes, and not {layer.size}"
            )
        packed = DigestReader(file, algorithm_of(layer.digest) or SHA256)
        try:
            with decompressed(packed) as plain:
                bounded = BoundedReader(plain, packed, layer.subject, limits)
                tar = DigestReader(bounded, algorithm_of(layer.diff_id))
                yield tar
                _check(layer, packed, tar)
        except ImageError as error:
            if str(error).startswith(layer.subject):
                raise
            raise ImageError(f"{layer.subject}: {error}") from error


def _check(layer: Layer, packed: DigestReader, tar: DigestReader) -> None:
    while tar.read(CHUNK):
        pass
    # A decoder may leave what follows the end of its format.
    while packed.read(CHUNK):
        pass
    for wanted, read in ((layer.digest, packed), (layer.diff_id, tar)):
        if wanted and read.digest != wanted:
            raise ImageError(f"{layer.subject}: digest is {read.digest}, not {wanted}")
