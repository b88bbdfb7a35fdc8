# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.errors import FileError
from kata_host.sdk.file_info import FileInfo, parse_info


@pytest.mark.parametrize(
    ("line", "info"),
    [
        ("81a4 1 2 3 4 /a/b c\n", FileInfo("b c", 0o100644, 3, 1, 2, 4)),
        ("41ed 0 0 40 9 ./d\ne", FileInfo("d\ne", 0o40755, 40, 0, 0, 9)),
        ("41ed 0 0 40 9 /\n", FileInfo("/", 0o40755, 40, 0, 0, 9)),
    ],
)
def test_a_line_is_read(line: str, info: FileInfo) -> None:
    assert parse_info(line) == info
    assert info.is_dir is not info.is_file


@pytest.mark.parametrize("line", ["", "81a4", "81a4 1 2 3 x /a", "zz 1 2 3 4 /a"])
def test_a_box_that_says_something_else_is_an_error(line: str) -> None:
    with pytest.raises(FileError, match="the box says"):
        parse_info(line)
