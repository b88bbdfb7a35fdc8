# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import inspect

import pytest

from kata_host.client import AgentClient, BlockingAgentClient, Result
from ttrpc.errors import Closed


async def test_calls_work_without_asyncio(address: str) -> None:
    def script() -> Result:
        with BlockingAgentClient(address) as client:
            client.check(timeout=5)
            client.create_sandbox("s1")
            assert client.version().agent_version == "1.2.3"
            result = client.run(["true"], rootfs="/r")
            client.destroy_sandbox()
            return result

    assert await asyncio.to_thread(script) == Result(7, b"", b"")


def test_an_address_that_is_not_served_is_named() -> None:
    with pytest.raises(Closed, match="/no/such/socket"):
        BlockingAgentClient("unix:///no/such/socket", timeout=0.01)


@pytest.mark.parametrize("name", ["check", "create_sandbox", "destroy_sandbox", "run"])
def test_help_shows_the_same_arguments(name: str) -> None:
    ours = inspect.signature(getattr(BlockingAgentClient, name))
    assert ours == inspect.signature(getattr(AgentClient, name))
