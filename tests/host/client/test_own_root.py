# SPDX-License-Identifier: Apache-2.0
"""What is said of the guest's own root; tests/e2e/test_own_files.py has real ones."""

from __future__ import annotations

import pytest

from kata_host.client import AgentClient
from kata_host.client.own_root import OwnRoot, find_own_root, own_root_mounts
from tests.helpers.fake_agent import FakeAgent


@pytest.mark.parametrize(
    ("said", "root"),
    [
        (b"machine\n", OwnRoot("/guest/all", is_shared=False)),
        (b"shared\n", OwnRoot("/guest/own", is_shared=True)),
    ],
)
async def test_the_kernel_of_the_guest_decides(
    agent: FakeAgent, address: str, said: bytes, root: OwnRoot
) -> None:
    agent.stdout, agent.status = [said], 0
    async with AgentClient.connect(address) as client:
        assert await find_own_root(client.container("c"), "/bin/busybox") == root
    process = (await agent.received("ExecProcess")).process
    assert list(process.Args[:2]) == ["/bin/busybox", "sh"]
    assert root.path in [mount.destination for mount in own_root_mounts()]


@pytest.mark.parametrize(
    ("status", "said", "why"),
    [
        (0, b"", "cannot be seen"),
        (0, b"machine or not\n", "cannot be seen"),
        (1, b"machine\n", "cannot be seen"),
        (1, b"", "cannot be made read-only: /srv"),
    ],
)
async def test_a_doubt_is_an_error(
    agent: FakeAgent, address: str, status: int, said: bytes, why: str
) -> None:
    agent.stdout, agent.status = [said], status
    agent.stderr = [f"{why}\n".encode()]
    async with AgentClient.connect(address) as client:
        with pytest.raises(OSError, match=f"guest's own root: {why}"):
            await find_own_root(client.container("c"))


def test_a_refusal_has_its_cause() -> None:
    shared, machine = OwnRoot("/", is_shared=True), OwnRoot("/", is_shared=False)
    reason = "x: Read-only file system"
    assert shared.explained(reason).startswith(f"{reason}: the root of a local guest")
    assert shared.explained("x: File exists").endswith("are the guest's own")
    assert machine.explained(reason) == reason
    assert shared.explained("x: No such file") == "x: No such file"
