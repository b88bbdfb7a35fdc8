# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io

import pytest

from kata_host.image.digest import DigestReader, algorithm_of, digest_of, parse_digest
from kata_host.image.errors import ImageError


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        "",
        "sha256:",
        "sha256:" + "A" * 64,
        "sha256:" + "a" * 63,
        "md5:" + "a" * 32,
        "sha256:" + "a" * 64 + "\n",
        "sha256:../../../etc/passwd",
    ],
)
def test_what_is_no_digest_is_refused(value: object) -> None:
    with pytest.raises(ImageError, match="^image 'a': invalid digest"):
        parse_digest(value, "image 'a'")


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_stream_has_the_digest_of_its_content(algorithm: str) -> None:
    wanted = digest_of(b"abcdef", algorithm)
    assert parse_digest(wanted, "") == wanted
    assert algorithm_of(wanted) == algorithm
    reader = DigestReader(io.BytesIO(b"abcdef"), algorithm)
    assert reader.read(4) + reader.read(4) + reader.read(4) == b"abcdef"
    assert (reader.size, reader.digest) == (6, wanted)
