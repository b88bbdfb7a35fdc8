# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import os

from kata_host.stream_error import ReaderGone, StreamError, write_error


def os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def test_the_stream_comes_before_the_fault() -> None:
    error = StreamError(0, os_error(errno.EIO))
    assert str(error) == "standard input: Input/output error"
    assert str(StreamError(9, os_error(errno.EIO))).startswith("descriptor 9: ")


def test_a_reader_that_has_gone_is_told_apart() -> None:
    full = write_error(1, os_error(errno.ENOSPC))
    assert str(full) == "standard output: No space left on device"
    assert not isinstance(full, ReaderGone)
    assert isinstance(write_error(2, os_error(errno.EPIPE)), ReaderGone)
