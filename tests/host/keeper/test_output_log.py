# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import resource
import signal
from pathlib import Path

import pytest

from kata_host.keeper import output_log
from kata_host.keeper.log_reader import LogReader
from kata_host.keeper.output_log import BEFORE, CURRENT, OutputLog


def test_the_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_log, "FILE_LIMIT", 1000)
    log = OutputLog(tmp_path)
    for number in range(100):
        log.write(1, b"%03d" % number * 30)
    log.close()
    sizes = [(tmp_path / name).stat().st_size for name in (CURRENT, BEFORE)]
    assert all(size <= 1000 + 110 for size in sizes)
    with LogReader(tmp_path) as reader:
        kept = [chunk.data[:3] for chunk in reader.read()]
    assert kept == [b"%03d" % number for number in range(100 - len(kept), 100)]


def test_output_goes_on_once_there_is_room_for_the_next_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_log, "FILE_LIMIT", 10)
    log = OutputLog(tmp_path)
    log.write(1, b"a" * 10)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        for _ in range(2):
            with pytest.raises(OSError, match="Too many open files"):
                log.write(1, b"b")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    log.write(1, b"c")
    log.close()
    with LogReader(tmp_path) as reader:
        assert [chunk.data for chunk in reader.read()] == [b"a" * 10, b"c"]


def test_a_chunk_without_room_leaves_the_others_whole(tmp_path: Path) -> None:
    log = OutputLog(tmp_path)
    log.write(1, b"a")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        size = os.stat(tmp_path / CURRENT).st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 20, before[1]))
        with pytest.raises(OSError, match="File too large"):
            log.write(1, b"b" * 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    log.write(2, b"c")
    log.close()
    with LogReader(tmp_path) as reader:
        chunks = list(reader.read())
    assert [(chunk.stream, chunk.data) for chunk in chunks] == [(1, b"a"), (2, b"c")]
