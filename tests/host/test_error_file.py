# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os

from kata_host.error_file import ErrorFile


def test_what_standard_error_does_not_take_is_dropped() -> None:
    fd = os.open("/dev/full", os.O_WRONLY)
    assert ErrorFile(fd).write(b"abc") == 3
    os.close(fd)
