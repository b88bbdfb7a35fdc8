# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from kata_host.keeper import output_log
from kata_host.keeper.log_reader import Chunk, LogReader, tail
from kata_host.keeper.output_log import CURRENT, OutputLog


def data_of(reader: LogReader) -> list[bytes]:
    return [chunk.data for chunk in reader.read()]


def test_a_reader_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_log, "FILE_LIMIT", 60)
    log = OutputLog(tmp_path)
    log.write(1, b"one")
    reader = LogReader(tmp_path)
    assert data_of(reader) == [b"one"]
    assert data_of(reader) == []
    # The file is full after the third, and moved before the fourth.
    for word in (b"two" * 10, b"three", b"four"):
        log.write(1, word)
    assert data_of(reader) == [b"two" * 10, b"three", b"four"]
    # Files that came and went between two looks are lost, and nothing else.
    for number in range(20):
        log.write(1, b"%02d" % number * 25)
    kept = data_of(reader)
    assert kept[-1] == b"19" * 25
    assert 1 < len(kept) < 20
    reader.close()
    log.close()


def test_half_a_chunk_is_read_when_it_is_whole(tmp_path: Path) -> None:
    log = OutputLog(tmp_path)
    log.write(1, b"whole")
    content = (tmp_path / CURRENT).read_bytes()
    with open(tmp_path / CURRENT, "ab") as file:
        file.write(content[:7])
    with LogReader(tmp_path) as reader:
        assert data_of(reader) == [b"whole"]
        with open(tmp_path / CURRENT, "ab") as file:
            file.write(content[7:])
        assert data_of(reader) == [b"whole"]
    log.close()


def test_there_may_be_no_log_yet(tmp_path: Path) -> None:
    with LogReader(tmp_path) as reader:
        assert data_of(reader) == []
        log = OutputLog(tmp_path)
        log.write(1, b"late")
        log.close()
        assert data_of(reader) == [b"late"]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (0, b""),
        (1, b"d\n"),
        (2, b"c\nd\n"),
        (3, b"b\nc\nd\n"),
        (4, b"a\nb\nc\nd\n"),
        (9, b"a\nb\nc\nd\n"),
    ],
)
def test_the_last_lines(lines: int, words: bytes) -> None:
    chunks = [Chunk(1, 0, data) for data in (b"a\nb", b"\nc\n", b"d", b"\n")]
    assert b"".join(chunk.data for chunk in tail(chunks, lines)) == words


def test_a_last_line_may_be_open() -> None:
    chunks = [Chunk(1, 0, b"a\nb\nc")]
    assert [chunk.data for chunk in tail(chunks, 2)] == [b"b\nc"]
    assert tail([], 3) == []
