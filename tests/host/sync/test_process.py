# SPDX-License-Identifier: Apache-2.0
"""tests/e2e/test_sdk_sync.py has real processes."""

from __future__ import annotations

import asyncio

from kata_host.sync import Guest
from tests.helpers.fake_agent import FakeAgent


async def test_a_process_is_killed_at_the_end_of_its_block(
    agent: FakeAgent, address: str
) -> None:
    def use() -> None:
        with Guest.connect(address) as guest, guest.container() as box:
            with box.start(["x"]):
                pass

    await asyncio.to_thread(use)
    assert (await agent.received("SignalProcess")).signal == 9
