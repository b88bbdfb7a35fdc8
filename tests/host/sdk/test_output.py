# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from kata_host.client import AgentClient
from kata_host.sdk.output import Output
from tests.helpers.fake_agent import FakeAgent


@pytest.mark.parametrize(
    ("limit", "kept", "is_cut"),
    [
        (None, b"onetwo", False),
        (6, b"onetwo", False),
        (5, b"onetw", True),
        (3, b"one", True),
        (0, b"", True),
    ],
)
async def test_output_is_kept_up_to_the_limit_and_read_to_its_end(
    agent: FakeAgent, address: str, limit: int | None, kept: bytes, is_cut: bool
) -> None:
    agent.stdout = [b"one", b"two"]
    output = Output(limit)
    async with AgentClient.connect(address) as client:
        assert await output.follow(client.container("c1").init, b"in") == agent.status
    assert (output.stdout, output.stderr, output.is_cut) == (kept, b"", is_cut)
    assert not agent.stdout
