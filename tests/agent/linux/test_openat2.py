# SPDX-License-Identifier: Apache-2.0
"""The kernel refuses paths that leave a directory or pass through magic links."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from kata_agent.linux.beneath import opened
from kata_agent.linux.openat2 import open_beneath, open_in_root


def error_of(path: str, directory: int) -> int | None:
    with pytest.raises(OSError, match="cannot open") as caught:
        open_beneath(directory, path, os.O_PATH)
    return caught.value.errno


def test_a_path_that_leaves_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("/etc/passwd")
    with opened(os.open(tmp_path, os.O_PATH)) as directory:
        assert error_of("../x", directory) == errno.EXDEV
        assert error_of("/etc/passwd", directory) == errno.EXDEV
        assert error_of("out", directory) == errno.EXDEV


def test_a_magic_link_is_refused() -> None:
    with opened(os.open("/proc/self", os.O_PATH)) as directory:
        assert error_of("fd/0", directory) == errno.ELOOP


def test_in_a_root_an_absolute_link_starts_at_that_root(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/name").write_text("inside")
    (tmp_path / "link").symlink_to("/etc/name")
    with opened(os.open(tmp_path, os.O_PATH)) as root:
        with open(open_in_root(root, "/link", os.O_RDONLY)) as file:
            assert file.read() == "inside"


def test_what_is_opened_is_closed_by_exec(tmp_path: Path) -> None:
    with opened(os.open(tmp_path, os.O_PATH)) as directory:
        with opened(open_beneath(directory, ".", os.O_PATH)) as descriptor:
            assert not os.get_inheritable(descriptor)
