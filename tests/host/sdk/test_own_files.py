# SPDX-License-Identifier: Apache-2.0
"""The container of a guest's own files; tests/e2e/test_own_files.py has real ones."""

from __future__ import annotations

import pytest

from kata_host import Guest
from kata_host.errors import FileError
from tests.helpers.fake_agent import FakeAgent


async def test_the_container_is_there_from_the_first_use_to_the_end(
    agent: FakeAgent, address: str
) -> None:
    async with Guest.connect(address) as guest:
        files = guest.files
        assert "CreateContainer" not in agent.names()
        agent.status = 0
        agent.stdout = [b"machine\n", b"", b"content"]
        assert await files.read("/x") == b"content"
        agent.stdout = [b"more"]
        assert await files.read("/x") == b"more"
        assert agent.names().count("CreateContainer") == 1
        execs = [it for it in agent.requests if hasattr(it, "process")]
        args = list(execs[-1].process.Args)
        assert args[:3] == ["/dev/busybox", "chroot", "/guest/all"]
        assert f"B={args[3]}" in execs[-1].process.Env
        assert "RemoveContainer" not in agent.names()
    assert agent.names()[-1] == "RemoveContainer"


async def test_a_doubt_about_the_root_is_an_error_and_leaves_nothing(
    agent: FakeAgent, address: str
) -> None:
    async with Guest.connect(address) as guest:
        for _ in range(2):
            agent.stderr = [b"cannot be made read-only: /srv\n"]
            with pytest.raises(FileError, match="own root: cannot be made read-only"):
                await guest.files.read("/x")
            assert agent.names()[-1] == "RemoveContainer"
