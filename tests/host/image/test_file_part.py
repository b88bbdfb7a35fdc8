# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_host.image.errors import ImageError
from kata_host.image.file_part import FilePart


def test_a_part_ends_where_it_ends(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    with FilePart(descriptor, 2, 5, "file", owned=False) as part:
        assert part.read(3) + part.read(9) + part.read(9) == b"23456"
    with FilePart(descriptor, 8, 5, "file 'a'", owned=True) as part:
        assert part.read(9) == b"89"
        with pytest.raises(ImageError, match="^file 'a': unexpected end"):
            part.read(9)
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(descriptor)
