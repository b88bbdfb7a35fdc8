# SPDX-License-Identifier: Apache-2.0
"""Descriptors that tell of changes in a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kata_host.inotify import EVENTS_SIZE, IN_CREATE, IN_DELETE, watch_folder


def test_the_changes_that_were_asked_for_are_told(tmp_path: Path) -> None:
    fd = watch_folder(tmp_path, IN_CREATE)
    try:
        with pytest.raises(BlockingIOError):
            os.read(fd, EVENTS_SIZE)
        (tmp_path / "file").touch()
        assert b"file" in os.read(fd, EVENTS_SIZE)
        (tmp_path / "file").unlink()
        with pytest.raises(BlockingIOError):
            os.read(fd, EVENTS_SIZE)
    finally:
        os.close(fd)


def test_a_missing_folder_is_named_and_leaves_no_descriptor(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    with pytest.raises(FileNotFoundError, match="none"):
        watch_folder(tmp_path / "none", IN_DELETE)
    assert os.listdir("/proc/self/fd") == before
