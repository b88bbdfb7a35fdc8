# SPDX-License-Identifier: Apache-2.0
"""The suite itself: an agent that hangs costs a line, and no more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from google.protobuf.empty_pb2 import Empty

from kata_host.client import AgentClient
from kata_protos import agent_pb2, health_pb2
from kata_protos.agent_ttrpc import AGENT_SERVICE
from kata_protos.health_ttrpc import HEALTH
from tests.conformance import conftest
from tests.conformance.conftest import AgentState, require_answer
from tests.helpers.conformance import case as cases
from tests.helpers.conformance.case import Case, Subject, check
from ttrpc.aio import Server
from ttrpc.bound_service import bind
from ttrpc.call_context import CallContext
from ttrpc.codes import Code
from ttrpc.errors import StatusError


class HungAgent:
    """Never answers a start or a removal, as the Rust agent after a second start.

    It ends a terminal as the Rust agent does: with the kernel's error.
    """

    def __init__(self, *, lets_look: bool = False) -> None:
        self.lets_look = lets_look
        """Whether it can still look for a container in its sandbox."""
        self._output = [b"24 81\r\n"]

    async def check(
        self, request: health_pb2.CheckRequest, context: CallContext
    ) -> health_pb2.HealthCheckResponse:
        return health_pb2.HealthCheckResponse(status=1)  # type: ignore[arg-type]  # SERVING

    async def start_container(
        self, request: agent_pb2.StartContainerRequest, context: CallContext
    ) -> Empty:
        await asyncio.Event().wait()
        return Empty()

    async def stats_container(
        self, request: agent_pb2.StatsContainerRequest, context: CallContext
    ) -> agent_pb2.StatsContainerResponse:
        if self.lets_look:
            raise StatusError(Code.INVALID_ARGUMENT, "no such container")
        await asyncio.Event().wait()
        return agent_pb2.StatsContainerResponse()

    async def remove_container(
        self, request: agent_pb2.RemoveContainerRequest, context: CallContext
    ) -> Empty:
        await asyncio.Event().wait()
        return Empty()

    async def read_stdout(
        self, request: agent_pb2.ReadStreamRequest, context: CallContext
    ) -> agent_pb2.ReadStreamResponse:
        if not self._output:
            raise StatusError(Code.INTERNAL, "EIO: I/O error")
        return agent_pb2.ReadStreamResponse(data=self._output.pop())


@contextlib.asynccontextmanager
async def hung_subject(
    path: Path, agent: HungAgent | None = None
) -> AsyncIterator[Subject]:
    agent = agent or HungAgent()
    server = Server([bind(AGENT_SERVICE, agent), bind(HEALTH, agent)])
    address = f"unix://{path}/agent.sock"
    await server.listen(address)
    async with await AgentClient.connect(address, timeout=10) as client:
        yield Subject(client, address, "/rootfs", is_ours=False)
    server.close()
    await server.wait_closed()


def line(act: cases.Act, *others: Code) -> Case:
    return Case("StartContainer", "happy", act, Code.OK, "", others, False, False)


async def start(s: Subject) -> None:
    await s.start("c1")


async def create(s: Subject) -> None:
    s.creation("c1")


async def test_a_call_without_an_answer_fails_its_line_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases, "PATIENCE", 0.1)
    async with hung_subject(tmp_path) as subject:
        with pytest.raises(AssertionError, match="no answer within 0.1 s"):
            await check(line(start), subject)
        assert subject.is_lost


async def test_cleaning_up_is_bounded_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cases, "CLEANING_PATIENCE", 0.1)
    async with hung_subject(tmp_path) as subject:
        with pytest.raises(AssertionError, match="not removed within 0.1 s"):
            await check(line(create), subject)
        assert subject.is_lost


async def test_an_error_ends_the_terminal_of_another_agent(tmp_path: Path) -> None:
    async with hung_subject(tmp_path) as subject:
        assert await subject.read_terminal("c1") == b"24 81\r\n"
        with pytest.raises(StatusError, match="EIO"):
            await subject.read_terminal("c1")


async def test_specs_have_the_namespaces_that_runtimes_send(tmp_path: Path) -> None:
    """Both runtimes of Kata 4.1.0 leave the one of pids to the agent."""
    async with hung_subject(tmp_path) as subject:
        spec = subject.creation("c1").OCI
    assert [each.Type for each in spec.Linux.Namespaces] == ["ipc", "uts", "mount"]


async def test_no_case_is_tried_with_an_agent_that_still_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Check would not show it: the Rust agent answers that without its sandbox."""
    monkeypatch.setattr(conftest, "CONNECT_TIMEOUT", 0.1)
    state = AgentState(set(), lost_in="StartContainer-repeated-started_twice")
    async with hung_subject(tmp_path) as subject:
        for _ in range(2):
            with pytest.raises(pytest.fail.Exception, match="hangs since StartCont"):
                await require_answer(subject.client, state)


async def test_cases_go_on_with_an_agent_that_answers_again(tmp_path: Path) -> None:
    state = AgentState(set(), lost_in="StartContainer-repeated-started_twice")
    async with hung_subject(tmp_path, HungAgent(lets_look=True)) as subject:
        await require_answer(subject.client, state)
    assert not state.lost_in
