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

    def __init__(self) -> None:
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
async def hung_subject(path: Path) -> AsyncIterator[Subject]:
    agent = HungAgent()
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
