# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from kata_host.image.directory_source import DirectorySource
from kata_host.image.errors import ImageError
from kata_host.image.file_source import read_document
from kata_host.image.limits import DOCUMENT_SIZE


def test_a_document_is_small(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"x" * 1_000_000)
    with open(tmp_path / "large", "wb") as file:
        file.truncate(DOCUMENT_SIZE + 1)
    with DirectorySource(tmp_path) as source:
        assert read_document(source, "small", "config") == b"x" * 1_000_000
        with pytest.raises(ImageError, match="^config: 8388609 bytes"):
            read_document(source, "large", "config")
