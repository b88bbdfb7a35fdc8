# SPDX-License-Identifier: Apache-2.0
"""The agent that the conformance table is held against: see README.md."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from kata_host.client import AgentClient
from kata_host.client.upload import SHARED, upload
from kata_host.ctl.rootfs import make_busybox
from kata_host.guest.local_guest import LocalGuest
from tests.helpers.conformance.case import Case, Subject
from tests.helpers.namespace import require_root
from ttrpc.errors import Closed

ADDRESS = os.environ.get("AGENT_ADDRESS", "")
IS_OURS = not ADDRESS or os.environ.get("AGENT_IS_OURS", "") == "1"
MAY_DESTROY = os.environ.get("CONFORMANCE_DESTROY", "") == "1"
CONNECT_TIMEOUT = 5.0


@dataclass(frozen=True, slots=True)
class Target:
    """An agent, and where its guest has or gets the root file system."""

    address: str
    rootfs: str
    source: Path | None = None
    """The files that have to be copied to `rootfs` first."""

    async def bring_rootfs(self, client: AgentClient) -> None:
        if self.source is not None:
            await upload(client.agent, self.source, self.rootfs)


def local_target(stack: ExitStack) -> Target:
    """Start a local guest that ends with the stack."""
    require_root()
    directory = Path(f"/tmp/conformance-{os.urandom(4).hex()}")
    guest = stack.enter_context(LocalGuest(directory))
    return Target(guest.address, str(make_busybox(guest.directory / "rootfs")))


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The agent that the cases share."""
    with ExitStack() as stack:
        if ADDRESS:
            source = make_busybox(tmp_path_factory.mktemp("busybox") / "rootfs")
            yield Target(ADDRESS, f"{SHARED}/conformance/rootfs", source)
        else:
            yield local_target(stack)


@pytest.fixture(scope="session")
def prepared() -> set[str]:
    """The addresses where the sandbox and the root file system are ready."""
    return set()


@pytest.fixture
async def subject(
    case: Case, target: Target, prepared: set[str]
) -> AsyncIterator[Subject]:
    """The agent for one case: the shared one, or one that the case may end."""
    with ExitStack() as stack:
        if case.own_guest and ADDRESS and not MAY_DESTROY:
            pytest.skip("ends the sandbox: CONFORMANCE_DESTROY=1 allows it")
        if case.own_guest and not ADDRESS:
            target = local_target(stack)
        try:
            connection = await AgentClient.connect(
                target.address, timeout=CONNECT_TIMEOUT
            )
        except Closed:
            if case.own_guest and prepared:
                pytest.skip("an earlier case has ended the agent, as it should")
            raise
        async with connection as client:
            if target.address not in prepared:
                await client.create_sandbox("conformance", share_pids=False)
                await target.bring_rootfs(client)
                prepared.add(target.address)
            yield Subject(
                client,
                target.address,
                target.rootfs,
                is_ours=IS_OURS,
                bring_rootfs=target.bring_rootfs,
            )
