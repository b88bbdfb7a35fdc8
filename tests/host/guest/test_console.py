# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from kata_host.guest.console import TAIL_SIZE, last_lines


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"one\n", ["one"]),
        (b"one\ntwo\nthree", ["two", "three"]),
        (b"one\r\ntwo\r\n", ["one", "two"]),
        (b"\xff\n", ["\N{REPLACEMENT CHARACTER}"]),
    ],
)
def test_the_last_two_lines(tmp_path: Path, content: bytes, lines: list[str]) -> None:
    file = tmp_path / "console.log"
    file.write_bytes(content)
    with open(file, "rb") as log:
        assert last_lines(log.fileno(), 2) == lines


def test_only_the_end_of_a_long_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "console.log"
    file.write_bytes(b"first\n" + b"x" * TAIL_SIZE + b"\nlast\n")
    with open(file, "rb") as log:
        lines = last_lines(log.fileno(), 100)
    assert lines[-1] == "last"
    assert "first" not in lines


def test_reading_does_not_move_the_position_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "console.log"
    file.write_bytes(b"one\ntwo\n")
    with open(file, "rb") as log:
        last_lines(log.fileno(), 1)
        assert log.read() == b"one\ntwo\n"
