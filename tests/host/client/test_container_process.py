# SPDX-License-Identifier: Apache-2.0
"""The client against an agent that lies; tests/e2e/test_client.py has a real agent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kata_host.client.container_process import (
    READ_SIZE,
    WRITE_SIZE,
    ContainerProcess,
    process_may_have_ended,
)
from kata_protos import agent_pb2
from kata_protos.agent_ttrpc import AgentServiceBase, AgentServiceClient
from ttrpc.aio import Client, Server
from ttrpc.bound_service import bind
from ttrpc.call_context import CallContext
from ttrpc.codes import Code
from ttrpc.errors import RemoteProtocolError, StatusError


class Liar(AgentServiceBase):
    """Returns more bytes than requested, and keeps the sizes of its input."""

    def __init__(self) -> None:
        self.written: list[int] = []

    async def read_stdout(
        self, request: agent_pb2.ReadStreamRequest, context: CallContext
    ) -> agent_pb2.ReadStreamResponse:
        return agent_pb2.ReadStreamResponse(data=bytes(request.len + 1))

    async def write_stdin(
        self, request: agent_pb2.WriteStreamRequest, context: CallContext
    ) -> agent_pb2.WriteStreamResponse:
        self.written.append(len(request.data))
        return agent_pb2.WriteStreamResponse(len=0)


@pytest.fixture
def liar() -> Liar:
    return Liar()


@pytest.fixture
async def process(liar: Liar, tmp_path: Path) -> AsyncIterator[ContainerProcess]:
    service = agent_pb2.DESCRIPTOR.services_by_name["AgentService"]
    server = Server([bind(service, liar)])
    address = f"unix://{tmp_path}/s"
    await server.listen(address)
    async with await Client.connect(address) as client:
        yield ContainerProcess(AgentServiceClient(client), "c1", "c1")
    await server.shutdown(timeout=5)


async def test_more_output_than_requested_is_refused(process: ContainerProcess) -> None:
    with pytest.raises(RemoteProtocolError, match=f"'c1': {READ_SIZE + 1} bytes"):
        async for _ in process.read_stdout():
            pass


async def test_input_is_sent_in_messages_that_fit(
    process: ContainerProcess, liar: Liar
) -> None:
    await process.write_stdin(bytes(2 * WRITE_SIZE + 5))
    assert liar.written == [WRITE_SIZE, WRITE_SIZE, 5]


async def test_no_input_is_no_message(process: ContainerProcess, liar: Liar) -> None:
    # An empty message would end the input.
    await process.write_stdin(b"")
    assert liar.written == []


def test_only_errors_of_an_ended_process_are_ignored() -> None:
    with process_may_have_ended():
        raise StatusError(Code.NOT_FOUND, "container 'c1': no process 'c1'")
    with pytest.raises(StatusError), process_may_have_ended():
        raise StatusError(Code.UNIMPLEMENTED, "method WriteStdin")
