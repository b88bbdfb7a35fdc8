# SPDX-License-Identifier: Apache-2.0
"""The agent that the conformance table is held against: see README.md."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from kata_host.client import AgentClient
from kata_host.client.upload import SHARED, upload
from kata_host.ctl.rootfs import make_busybox
from kata_host.guest.local_guest import LocalGuest
from kata_protos import agent_pb2
from tests.helpers.conformance.case import PATIENCE, Case, Subject
from tests.helpers.namespace import require_root
from ttrpc.errors import Closed, StatusError

ADDRESS = os.environ.get("AGENT_ADDRESS", "")
IS_OURS = not ADDRESS or os.environ.get("AGENT_IS_OURS", "") == "1"
MAY_DESTROY = os.environ.get("CONFORMANCE_DESTROY", "") == "1"
MAY_SET_CLOCK = os.environ.get("CONFORMANCE_CLOCK", "") == "1"
RESTART = os.environ.get("CONFORMANCE_RESTART", "") if ADDRESS else ""
"""A command for the shell that starts the agent at the address anew."""
RESTART_TIMEOUT = 60.0
"""Seconds for that command, and then for the agent's first answer."""
CONNECT_TIMEOUT = 5.0
LEFT_BEHIND = ("c1", "c2", "helper", "reader")
"""Containers that an earlier run may not have removed."""


@dataclass(slots=True)
class AgentState:
    """What is known of the agents between two cases."""

    prepared: set[str]
    """The addresses where the sandbox and the root file system are ready."""
    lost_in: str = ""
    """The case after which the shared agent hung or had gone."""


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
            # A new path, because an earlier run may have left its files.
            run = os.urandom(4).hex()
            yield Target(ADDRESS, f"{SHARED}/conformance/{run}/rootfs", source)
        else:
            yield local_target(stack)


@pytest.fixture(scope="session")
def state() -> AgentState:
    return AgentState(set())


@pytest.fixture
async def subject(
    case: Case, target: Target, state: AgentState
) -> AsyncIterator[Subject]:
    """The agent for one case: the shared one, or one that the case may end."""
    with ExitStack() as stack:
        if ADDRESS:
            skip_if_not_allowed(case)
            if RESTART and (state.lost_in or (case.own_guest and state.prepared)):
                await restart(state)
        elif case.own_guest:
            target = local_target(stack)
        try:
            connection = await AgentClient.connect(
                target.address, timeout=RESTART_TIMEOUT if RESTART else CONNECT_TIMEOUT
            )
        except Closed:
            if case.own_guest and state.prepared:
                pytest.skip("an earlier case has ended the agent, as it should")
            raise
        async with connection as client:
            if target.address not in state.prepared:
                async with asyncio.timeout(PATIENCE):
                    await prepare(client, target)
                state.prepared.add(target.address)
            subject = Subject(
                client,
                target.address,
                target.rootfs,
                is_ours=IS_OURS,
                bring_rootfs=target.bring_rootfs,
            )
            yield subject
            if ADDRESS and (subject.is_lost or case.own_guest):
                state.lost_in = case.id


def skip_if_not_allowed(case: Case) -> None:
    if case.own_guest and not MAY_DESTROY:
        pytest.skip("ends the sandbox: CONFORMANCE_DESTROY=1 allows it")
    if case.machine and not MAY_SET_CLOCK:
        pytest.skip("sets the clock: CONFORMANCE_CLOCK=1 allows it")


async def restart(state: AgentState) -> None:
    """Run the caller's command. Raises `CalledProcessError`, `TimeoutExpired`."""
    await asyncio.to_thread(
        subprocess.run, RESTART, shell=True, check=True, timeout=RESTART_TIMEOUT
    )
    state.prepared.clear()
    state.lost_in = ""


async def prepare(client: AgentClient, target: Target) -> None:
    """Create the sandbox and bring the root file system, also for a second run."""
    for name in LEFT_BEHIND if ADDRESS else ():
        with contextlib.suppress(StatusError):
            await client.agent.signal_process(
                agent_pb2.SignalProcessRequest(container_id=name, signal=9)
            )
        with contextlib.suppress(StatusError):
            await client.agent.remove_container(
                agent_pb2.RemoveContainerRequest(container_id=name)
            )
    try:
        await client.create_sandbox("conformance", share_pids=False)
    except StatusError:
        # The Rust agent refuses a second sandbox, and the first one will do.
        if IS_OURS:
            raise
    await target.bring_rootfs(client)
