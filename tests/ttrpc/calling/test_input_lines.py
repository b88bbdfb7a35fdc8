# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import os
from pathlib import Path

from ttrpc.calling.input_lines import CHUNK, WAITING, input_lines


async def test_the_lines_of_a_file_come_without_blank_ones(tmp_path: Path) -> None:
    text = "one\n\n  \ntwo\r\nthree"
    (tmp_path / "lines").write_text(text)
    with open(tmp_path / "lines") as file:
        lines = [line async for line in input_lines(file.fileno())]
    assert lines == ["one", "two\r", "three"]


async def test_a_line_of_a_pipe_comes_before_the_next_is_written() -> None:
    reader, writer = os.pipe()
    lines = input_lines(reader)
    for word in ("one", "two"):
        os.write(writer, f"{word}\n".encode())
        assert await anext(lines) == word
    os.close(writer)
    assert [line async for line in lines] == []
    os.close(reader)


async def test_a_line_may_be_longer_than_a_read(tmp_path: Path) -> None:
    long = "a" * (3 * CHUNK)
    (tmp_path / "lines").write_text(f"{long}\nb\n")
    with open(tmp_path / "lines") as file:
        assert [line async for line in input_lines(file.fileno())] == [long, "b"]


async def test_what_nobody_takes_is_not_read() -> None:
    """The writer of a pipe waits, instead of this program's memory filling up."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    lines = input_lines(reader)
    line = b"x" * 1023 + b"\n"
    os.write(writer, line)
    await anext(lines)
    written = 1
    limit = WAITING + 4 * (CHUNK // len(line)) + 1000
    full = 0
    while written < limit and full < 20:
        try:
            os.write(writer, line)
            written += 1
            full = 0
        except BlockingIOError:
            full += 1
            await asyncio.sleep(0.005)
    assert written < limit
    os.close(writer)
    async for _ in lines:
        written -= 1
    assert written == 1
    os.close(reader)
