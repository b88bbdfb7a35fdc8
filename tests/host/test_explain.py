# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import os

import pytest

from kata_host.explain import explain


def test_the_object_comes_before_the_fault() -> None:
    for name in ("/no", b"/no"):
        error = OSError(errno.ENOENT, "No such file or directory", name)
        assert explain(error) == "/no: No such file or directory"
    assert explain(OSError(errno.EIO, os.strerror(errno.EIO))) == "Input/output error"


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("address 'x': bad"), "address 'x': bad"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_other_errors_say_what_they_say(error: Exception, text: str) -> None:
    assert explain(error) == text
