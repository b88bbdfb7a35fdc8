# SPDX-License-Identifier: Apache-2.0
"""Digests of content (OCI image-spec, descriptor.md), and streams that compute them."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from kata_host.image.errors import ImageError
from kata_host.tar.readable import Readable

SHA256: Final = "sha256"
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


def parse_digest(value: object, subject: str) -> str:
    """Return a digest such as `sha256:...`, which is safe in a path.

    Raises `ImageError` with `subject` in front.
    """
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise ImageError(f"{subject}: invalid digest {value!r:.80}")
    return value


def algorithm_of(digest: str) -> str:
    return digest.partition(":")[0]


def digest_of(content: bytes, algorithm: str = SHA256) -> str:
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


class DigestReader:
    """Passes a stream on; `size` and `digest` are those of what has been read."""

    def __init__(self, stream: Readable, algorithm: str = SHA256) -> None:
        self.size = 0
        self._stream = stream
        self._algorithm = algorithm
        self._hash = hashlib.new(algorithm)

    @property
    def digest(self) -> str:
        return f"{self._algorithm}:{self._hash.hexdigest()}"

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        self._hash.update(data)
        self.size += len(data)
        return data
