# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import gzip
import io

import pytest

from kata_host.image.bounded_reader import BoundedReader
from kata_host.image.compression import decompressed
from kata_host.image.digest import DigestReader
from kata_host.image.errors import ImageError
from kata_host.image.limits import UnpackLimits


def read(packed: bytes, limits: UnpackLimits) -> int:
    source = DigestReader(io.BytesIO(packed))
    size = 0
    with decompressed(source) as plain:
        reader = BoundedReader(plain, source, "layer", limits)
        while data := reader.read(1 << 16):
            size += len(data)
    return size


def test_a_bomb_is_refused_long_before_its_end() -> None:
    bomb = gzip.compress(bytes(8 << 20), 9)
    with pytest.raises(ImageError, match="^layer: expands more than 300-fold"):
        read(bomb, UnpackLimits(ratio_start=1 << 20))
    assert read(bomb, UnpackLimits()) == 8 << 20


def test_a_stream_that_is_too_long_is_refused() -> None:
    with pytest.raises(ImageError, match="^layer: more than 1000 bytes"):
        read(bytes(1001), UnpackLimits(size=1000))
    assert read(bytes(1000), UnpackLimits(size=1000)) == 1000
