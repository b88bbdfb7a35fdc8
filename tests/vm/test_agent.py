# SPDX-License-Identifier: Apache-2.0
"""The agent as PID 1 of a virtual machine, over vsock."""

from __future__ import annotations

import pytest

from agent.client import AgentClient

pytestmark = pytest.mark.vm


async def test_a_container_runs(client: AgentClient) -> None:
    result = await client.run(["sh", "-c", "cat; exit 7"], rootfs="/", input=b"in\n")
    assert (result.status, result.stdout) == (7, b"in\n")
