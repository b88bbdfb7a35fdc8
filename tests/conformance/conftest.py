# SPDX-License-Identifier: Apache-2.0
"""The agent that the conformance table is held against.

    AGENT_ADDRESS=hvsock:///run/vm.sock:1024 pytest tests/conformance

tests the agent there, with a busybox root file system that CopyFile brings to it;
without an address a local guest is started.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.client import AgentClient
from agent.client.upload import SHARED, upload
from agent.ctl.rootfs import make_busybox
from guest.local import LocalGuest
from tests.helpers.conformance.case import Subject
from tests.helpers.namespace import require_root


@dataclass(frozen=True, slots=True)
class Target:
    address: str
    rootfs: str
    is_ours: bool
    source: Path | None = None
    """What has to be copied to `rootfs` first."""


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    address = os.environ.get("AGENT_ADDRESS", "")
    if address:
        source = make_busybox(tmp_path_factory.mktemp("busybox"))
        is_ours = os.environ.get("AGENT_IS_OURS", "") == "1"
        yield Target(address, f"{SHARED}/conformance/rootfs", is_ours, source)
        return
    require_root()
    directory = Path(f"/tmp/conformance-{os.urandom(4).hex()}")
    with LocalGuest(directory) as guest:
        rootfs = make_busybox(guest.directory / "rootfs")
        yield Target(guest.address, str(rootfs), is_ours=True)


@pytest.fixture(scope="session")
def prepared() -> set[str]:
    """The addresses where the sandbox and the root file system are ready."""
    return set()


@pytest.fixture
async def subject(target: Target, prepared: set[str]) -> AsyncIterator[Subject]:
    async with await AgentClient.connect(target.address) as client:
        if target.address not in prepared:
            await client.create_sandbox("conformance", share_pids=False)
            if target.source is not None:
                await upload(client.agent, target.source, target.rootfs)
            prepared.add(target.address)
        yield Subject(client, target.address, target.rootfs, is_ours=target.is_ours)
