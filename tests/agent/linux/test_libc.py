# SPDX-License-Identifier: Apache-2.0
"""A call that fails raises errno, with the object's name."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

import pytest

from kata_agent.linux.libc import call, syscall

SYS_GETPID = 39


def test_a_system_call_by_number() -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("the number is that of x86-64")
    assert syscall(SYS_GETPID) == os.getpid()


def test_a_function_by_name() -> None:
    assert call("getpid") == os.getpid()


def test_a_failure_is_errno_and_names_the_object(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(FileNotFoundError) as caught:
        call("rmdir", ctypes.c_char_p(os.fsencode(missing)), path=missing)
    assert caught.value.filename == str(missing)


def test_a_failure_without_an_object_is_errno_alone() -> None:
    with pytest.raises(OSError, match="Bad file descriptor") as caught:
        call("close", -1)
    assert (caught.value.errno, caught.value.filename) == (errno.EBADF, None)
