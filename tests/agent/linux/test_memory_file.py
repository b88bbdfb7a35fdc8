# SPDX-License-Identifier: Apache-2.0
"""Files in memory."""

from __future__ import annotations

import os

import pytest

from kata_agent.linux.memory_file import memory_file


def test_a_file_begins_with_its_content() -> None:
    content = os.urandom(100_000)
    with memory_file("test", content) as fd:
        assert os.read(fd, 1 << 20) == content
        assert not os.get_inheritable(fd)
        assert "/memfd:test" in os.readlink(f"/proc/self/fd/{fd}")


def test_the_file_is_closed_after_an_error() -> None:
    with pytest.raises(KeyError), memory_file("test") as fd:
        raise KeyError
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
