# SPDX-License-Identifier: Apache-2.0
"""Calls on standard streams, over a real connection to a real container."""

from __future__ import annotations

import pytest

from kata_agent.rpc.stdio import StdioService
from kata_protos import agent_pb2
from kata_protos.agent_ttrpc import AgentServiceClient
from tests.helpers.domain import container_request, open_sandbox, started
from tests.helpers.namespace import World, in_namespaces
from tests.helpers.served import served
from ttrpc.codes import Code
from ttrpc.errors import StatusError


async def read(agent: AgentServiceClient, *, stderr: bool = False) -> bytes:
    """Read a stream of `c1` to its end, which is an empty answer."""
    request = agent_pb2.ReadStreamRequest(container_id="c1", len=4096)
    call = agent.read_stderr if stderr else agent.read_stdout
    received = b""
    while data := (await call(request)).data:
        received += data
    return received


async def write(agent: AgentServiceClient, data: bytes) -> int:
    request = agent_pb2.WriteStreamRequest(container_id="c1", data=data)
    return (await agent.write_stdin(request)).len


@in_namespaces("v1")
async def test_input_comes_back_until_stdin_is_closed(world: World) -> None:
    async with open_sandbox() as sandbox, served(StdioService(sandbox)) as agent:
        await started(sandbox, "c1", "sh", "-c", "cat; echo end >&2")
        assert await write(agent, b"hello") == 5
        await agent.close_stdin(agent_pb2.CloseStdinRequest(container_id="c1"))
        assert await read(agent) == b"hello"
        assert await read(agent, stderr=True) == b"end\n"


@in_namespaces("v1")
async def test_an_empty_write_ends_the_input(world: World) -> None:
    async with open_sandbox() as sandbox, served(StdioService(sandbox)) as agent:
        await started(sandbox, "c1", "cat")
        assert await write(agent, b"hello") == 5
        assert await write(agent, b"") == 0
        assert await read(agent) == b"hello"


@in_namespaces("v1")
async def test_only_a_terminal_has_a_size(world: World) -> None:
    async with open_sandbox() as sandbox, served(StdioService(sandbox)) as agent:
        request = container_request("c1", "sh", "-c", "read x; stty size")
        request.OCI.Process.Terminal = True
        await sandbox.create_container(request)
        await sandbox.start_container("c1")
        resize = agent_pb2.TtyWinResizeRequest(container_id="c1", row=33, column=77)
        await agent.tty_win_resize(resize)
        await write(agent, b"\n")
        assert b"33 77" in await read(agent)
        await started(sandbox, "c2", "sleep", "1000")
        resize.container_id = "c2"
        with pytest.raises(StatusError) as caught:
            await agent.tty_win_resize(resize)
        assert caught.value.code is Code.UNAVAILABLE
        assert caught.value.message == "container 'c2': no tty"
