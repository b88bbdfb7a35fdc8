# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import os
import threading

import pytest

from kata_host.output_file import OutputFile
from kata_host.stream_error import ReaderGone, StreamError


def test_a_full_disk_is_said() -> None:
    fd = os.open("/dev/full", os.O_WRONLY)
    file = OutputFile(fd)
    with pytest.raises(StreamError, match="No space left on device"):
        file.write(b"x")
    file.close()
    os.close(fd)


def test_a_reader_that_has_gone_is_said() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(ReaderGone):
        OutputFile(writer).write(b"x")
    os.close(writer)


def test_a_write_waits_for_room_in_a_pipe_that_does_not_block() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(4096))
    written = []
    thread = threading.Thread(
        target=lambda: written.append(OutputFile(writer).write(b"x"))
    )
    thread.start()
    os.read(reader, 1 << 20)
    thread.join()
    assert written == [1]
    os.close(reader)
    os.close(writer)
