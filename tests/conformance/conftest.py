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
from ttrpc.codes import Code
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
    is_hung: bool = False
    """Whether it still hung before a later case: then no more are tried."""


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
            connection = await connect(target.address, state)
        except Closed:
            if case.own_guest and state.prepared:
                pytest.skip("an earlier case has ended the agent, as it should")
            raise
        async with connection as client:
            if state.lost_in:
                await require_answer(client, state)
            if target.address not in state.prepared:
                with_sandbox = not (RESTART and case.begins_sandbox)
                try:
                    async with asyncio.timeout(PATIENCE):
                        await prepare(client, target, with_sandbox=with_sandbox)
                except TimeoutError:
                    state.lost_in = "its preparation"
                    raise
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
            if ADDRESS and case.rpc == "CreateSandbox":
                # The Rust agent empties its directory, also when it refuses the call.
                state.prepared.discard(target.address)


async def connect(address: str, state: AgentState) -> AgentClient:
    """Connect to the agent; start it if it has ended, as after an earlier run.

    Raises `Closed` for an agent that cannot be reached.
    """
    if RESTART and not state.prepared:
        with contextlib.suppress(Closed):
            return await AgentClient.connect(address, timeout=CONNECT_TIMEOUT)
        await restart(state)
    timeout = RESTART_TIMEOUT if RESTART else CONNECT_TIMEOUT
    return await AgentClient.connect(address, timeout=timeout)


def skip_if_not_allowed(case: Case) -> None:
    if case.own_guest and not MAY_DESTROY:
        pytest.skip("ends the sandbox: CONFORMANCE_DESTROY=1 allows it")
    if case.machine and not MAY_SET_CLOCK:
        pytest.skip("sets the clock: CONFORMANCE_CLOCK=1 allows it")


async def require_answer(client: AgentClient, state: AgentState) -> None:
    """Fail the case at once if the agent hangs since an earlier one.

    The call is one for which an agent looks into its sandbox. A Check would not show
    the hang of the Rust agent, which waits for a lock of the sandbox.
    """
    if not state.is_hung:
        request = agent_pb2.StatsContainerRequest(container_id="nobody")
        try:
            await client.agent.stats_container(request, timeout=CONNECT_TIMEOUT)
        except StatusError as status:
            state.is_hung = status.code == Code.DEADLINE_EXCEEDED
    if state.is_hung:
        pytest.fail(f"not tried: the agent hangs since {state.lost_in}")
    state.lost_in = ""


async def restart(state: AgentState) -> None:
    """Run the caller's command. Raises `CalledProcessError`, `TimeoutExpired`."""
    await asyncio.to_thread(
        subprocess.run, RESTART, shell=True, check=True, timeout=RESTART_TIMEOUT
    )
    state.prepared.clear()
    state.lost_in = ""
    state.is_hung = False


async def prepare(
    client: AgentClient, target: Target, *, with_sandbox: bool = True
) -> None:
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
    if with_sandbox:
        try:
            await client.create_sandbox("conformance", share_pids=False)
        except StatusError:
            # The Rust agent refuses a second sandbox, and the first one will do.
            if IS_OURS:
                raise
    await target.bring_rootfs(client)
