# SPDX-License-Identifier: Apache-2.0
"""The files of a saved image, in a directory or in a tar archive."""

from __future__ import annotations

from typing import Protocol

from kata_host.image.errors import ImageError
from kata_host.image.limits import DOCUMENT_SIZE
from kata_host.tar.readable import Readable


class FileSource(Protocol):
    """Files by their path in the archive: `index.json`, `blobs/sha256/...`."""

    def has(self, path: str) -> bool: ...

    def open(self, path: str) -> SourceFile:
        """Raises `ImageError` if there is no such file."""


class SourceFile(Readable, Protocol):
    """A file, read from its start once; a context manager."""

    size: int

    def __enter__(self) -> SourceFile: ...

    def __exit__(self, *exc_info: object) -> None: ...


def read_document(source: FileSource, path: str, subject: str) -> bytes:
    """Return the content of a small file. Raises `ImageError`."""
    with source.open(path) as file:
        if file.size > DOCUMENT_SIZE:
            raise ImageError(f"{subject}: {file.size} bytes, more than {DOCUMENT_SIZE}")
        parts = []
        while data := file.read(1 << 18):
            parts.append(data)
        return b"".join(parts)
