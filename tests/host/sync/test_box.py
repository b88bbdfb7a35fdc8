# SPDX-License-Identifier: Apache-2.0
"""tests/e2e/test_sdk_sync.py has real boxes."""

from __future__ import annotations

import asyncio
from typing import Any

from kata_host.sync import Guest
from kata_host.sync.box import Box
from kata_host.sync.files import Files
from kata_host.sync.process import Process
from tests.helpers.fake_agent import FakeAgent


async def test_a_box_its_files_and_its_processes_are_used_without_asyncio(
    agent: FakeAgent, address: str
) -> None:
    agent.stdout = [b"one"]

    def use() -> list[Any]:
        with Guest.connect(address) as guest, guest.container() as box:
            assert isinstance(box, Box)
            assert isinstance(box.files, Files)
            with box.start(["x"]) as process:
                assert isinstance(process, Process)
                return [*process, process.read_stderr(), process.wait()]

    assert await asyncio.to_thread(use) == [b"one", b"", 7]
    assert agent.names()[-1] == "RemoveContainer"
