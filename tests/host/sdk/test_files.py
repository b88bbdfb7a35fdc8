# SPDX-License-Identifier: Apache-2.0
"""What needs no box; tests/e2e/test_sdk_box.py has real ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from kata_host.errors import FileError, NotFound
from kata_host.sdk.files import Files
from kata_host.sdk.process import Process
from kata_host.sdk.user import User
from kata_protos import oci_pb2


def start(args: Sequence[str], *, user: User | None = None) -> Process:
    raise AssertionError


@pytest.fixture
def files() -> Files:
    return Files(start, oci_pb2.User())


async def test_a_file_that_is_not_here_is_not_found(
    files: Files, tmp_path: Path
) -> None:
    with pytest.raises(NotFound, match=f"file '{tmp_path}/none': No such file"):
        await files.upload(tmp_path / "none", "/x")


async def test_a_file_that_cannot_be_read_is_an_error(
    files: Files, tmp_path: Path
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(FileError, match="loop: "):
        await files.upload(tmp_path / "loop", "/x")
