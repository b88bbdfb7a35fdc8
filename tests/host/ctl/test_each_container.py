# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio

import pytest

from kata_host.ctl.program import main
from tests.helpers.fake_agent import FakeAgent


async def test_one_failure_does_not_end_the_others(
    agent: FakeAgent, guest_one: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await asyncio.to_thread(main, ["kill", "none", "one/c1"]) == 1
    said = capsys.readouterr()
    assert said.out == "c1\n"
    assert said.err == (
        "kata-agent-ctl: container 'none': not found (see kata-agent-ctl ps -a)\n"
    )
