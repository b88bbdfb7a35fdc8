# SPDX-License-Identifier: Apache-2.0
"""What needs no box; tests/e2e/test_sdk_box.py has real ones."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from kata_host import Guest
from kata_host.errors import FileError, NotFound
from kata_host.sdk.files import Files
from kata_host.sdk.process import Process
from kata_host.sdk.user import User
from kata_protos import oci_pb2
from tests.helpers.fake_agent import FakeAgent


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


async def test_names_of_a_hostile_guest_are_no_paths(
    agent: FakeAgent, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "urandom", bytes)
    agent.status = 0
    async with Guest.connect(address) as guest, guest.container() as box:
        for name in ("..", "a/../..", "/etc/"):
            line = f"81a4 0 0 1 1 ./{name}/{bytes(8).hex()}\n"
            agent.stdout = [line.encode()]
            with pytest.raises(FileError, match="file '/x': holds no file of name"):
                await box.files.list("/x")


async def test_ids_of_a_hostile_guest_are_numbers(
    agent: FakeAgent, address: str
) -> None:
    agent.status = 0
    async with Guest.connect(address) as guest, guest.container() as box:
        agent.stdout = [b"1\n--file 3\n"]
        with pytest.raises(FileError, match="user 'one': the box says"):
            await box.files.write("/x", "", user="one")


async def test_an_error_of_a_hostile_guest_is_one_line(
    agent: FakeAgent, address: str
) -> None:
    agent.stderr = [b"cat: \x1b[2Jno\n"]
    async with Guest.connect(address) as guest, guest.container() as box:
        with pytest.raises(FileError, match=r"^file '/x': \\x1b\[2Jno$"):
            await box.files.read("/x")
