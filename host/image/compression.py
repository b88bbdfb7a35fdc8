# SPDX-License-Identifier: Apache-2.0
"""The compression of a layer or an archive, told by its first bytes."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Iterator
from typing import Any, Final, cast

from kata_host.image.errors import ImageError
from kata_host.image.zstd_reader import ZstdReader
from kata_host.tar.readable import Readable

MAGIC_SIZE: Final = 6
"""Bytes that tell the kinds apart."""
_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_UNKNOWN: Final = {b"BZh": "bzip2", b"\xfd7zXZ\0": "xz"}


def is_compressed(start: bytes) -> bool:
    """Tell whether `start` opens a compressed stream of any kind."""
    return start.startswith((_GZIP, _ZSTD, *_UNKNOWN))


@contextlib.contextmanager
def decompressed(stream: Readable) -> Iterator[Readable]:
    """Provide the bytes of a plain, gzip or zstd stream.

    Raises `ImageError` for another compression, and for a stream that is damaged.
    """
    start = _read_start(stream)
    whole = _Joined(start, stream)
    for magic, name in _UNKNOWN.items():
        if start.startswith(magic):
            raise ImageError(f"compression {name}: not one of gzip and zstd")
    if start.startswith(_GZIP):
        # Any object with a `read` will do: gzip never seeks while it decompresses.
        with gzip.GzipFile(fileobj=cast(Any, whole), mode="rb") as plain:
            yield _Gzip(plain)
    elif start.startswith(_ZSTD):
        with ZstdReader(whole) as decoder:
            yield decoder
    else:
        yield whole


def _read_start(stream: Readable) -> bytes:
    start = b""
    while len(start) < MAGIC_SIZE and (data := stream.read(MAGIC_SIZE - len(start))):
        start += data
    return start


class _Joined:
    """A stream whose first bytes have been read already."""

    def __init__(self, start: bytes, rest: Readable) -> None:
        self._start = start
        self._rest = rest

    def read(self, size: int, /) -> bytes:
        if self._start:
            data, self._start = self._start[:size], self._start[size:]
            return data
        return self._rest.read(size)


class _Gzip:
    def __init__(self, plain: gzip.GzipFile) -> None:
        self._plain = plain

    def read(self, size: int, /) -> bytes:
        import zlib

        try:
            return self._plain.read1(size)
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise ImageError(f"gzip: {error}") from error
