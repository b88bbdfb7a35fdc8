# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import bz2
import gzip
import io
import lzma

import pytest

from kata_host.image.compression import decompressed, is_compressed
from kata_host.image.errors import ImageError
from tests.helpers.saved_images import COMPRESSIONS, read_all

DATA = bytes(range(256)) * 1000


@pytest.mark.parametrize("kind", COMPRESSIONS)
@pytest.mark.parametrize("data", [DATA, b"", b"x"])
def test_the_content_tells_the_compression(kind: str, data: bytes) -> None:
    packed = COMPRESSIONS[kind](data)
    assert is_compressed(packed) == (kind != "plain")
    with decompressed(io.BytesIO(packed)) as plain:
        assert read_all(plain) == data


def test_gzip_may_have_several_members() -> None:
    packed = gzip.compress(b"one") + gzip.compress(b"two")
    with decompressed(io.BytesIO(packed)) as plain:
        assert read_all(plain) == b"onetwo"


@pytest.mark.parametrize(
    ("packed", "fault"),
    [
        (gzip.compress(DATA)[:-4], "gzip: .*end-of-stream"),
        (gzip.compress(DATA)[:-8] + bytes(8), "gzip: CRC"),
        (gzip.compress(DATA)[:20] + b"\xff" * 50, "gzip: "),
        (bz2.compress(DATA), "bzip2: not one of gzip and zstd"),
        (lzma.compress(DATA), "xz: not one of"),
    ],
)
def test_a_damaged_or_unknown_stream_is_refused(packed: bytes, fault: str) -> None:
    with pytest.raises(ImageError, match=fault):
        with decompressed(io.BytesIO(packed)) as plain:
            read_all(plain)
