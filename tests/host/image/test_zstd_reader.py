# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io

import pytest

from kata_host.image.errors import ImageError
from kata_host.image.zstd_reader import ZstdReader
from tests.helpers.saved_images import read_all, zstd


def test_a_block_may_end_before_the_stream() -> None:
    with ZstdReader(io.BytesIO(zstd(bytes(5_000_000)))) as reader:
        assert reader.read(1000) == bytes(1000)


@pytest.mark.parametrize("damage", [slice(0, -5), slice(0, 20)])
def test_a_stream_that_is_cut_is_no_shorter_one(damage: slice) -> None:
    data = zstd(bytes(range(256)) * 5000)[damage]
    with ZstdReader(io.BytesIO(data)) as reader:
        with pytest.raises(ImageError, match="^zstd: "):
            read_all(reader)


def test_a_fault_of_the_source_is_the_reader_s() -> None:
    class Faulty:
        def read(self, size: int, /) -> bytes:
            raise ImageError("layer: gone")

    with ZstdReader(Faulty()) as reader, pytest.raises(ImageError, match="gone"):
        reader.read(1)


def test_a_host_without_zstd_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ImageError, match="package zstd"):
        ZstdReader(io.BytesIO()).__enter__()
