# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import shutil
import sys
from pathlib import Path

import pytest

from kata_host.client import AgentClient
from kata_host.errors import NotFound
from kata_host.sdk.tools import PLACE, Tools, host_busybox
from tests.helpers.fake_agent import FakeAgent


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


async def test_the_guests_own_is_used(agent: FakeAgent, address: str) -> None:
    async with AgentClient.connect(address) as client:
        mount = await Tools(client, "/usr/bin/busybox").mount()
    assert (mount.source, mount.destination) == ("/usr/bin/busybox", PLACE)
    assert "ro" in mount.options
    assert not agent.requests


async def test_the_hosts_is_copied_once_into_a_guest_that_may_have_none(
    agent: FakeAgent, address: str, programs: Path
) -> None:
    (programs / "busybox").write_bytes(b"\x7fELF program")
    (programs / "busybox").chmod(0o755)
    async with AgentClient.connect(address) as client:
        tools = Tools(client, None)
        mounts = await asyncio.gather(*(tools.mount() for _ in range(3)))
    (copy,) = agent.requests
    assert (copy.data, oct(copy.file_mode)) == (b"\x7fELF program", "0o100755")
    assert {mount.source for mount in mounts} == {copy.path}


def test_a_host_without_busybox_is_told_its_package(programs: Path) -> None:
    with pytest.raises(NotFound, match="package busybox-static"):
        host_busybox()


def test_a_busybox_that_needs_libraries_serves_no_image(programs: Path) -> None:
    shutil.copy(sys.executable, programs / "busybox")
    with pytest.raises(NotFound, match="needs libraries"):
        host_busybox()
