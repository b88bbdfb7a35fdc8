# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import os
import socket

import pytest

from kata_host.client.container_process import process_may_have_ended
from kata_host.client.stream_port import Stream
from kata_host.client.streamed_process import StreamedProcess
from ttrpc.errors import StatusError

MIB = 1 << 20


def process_on(stream: Stream) -> tuple[StreamedProcess, socket.socket]:
    ours, agents = socket.socketpair()
    ours.setblocking(False)
    # It makes no call here.
    return StreamedProcess(None, "c", "e", stream, ours), agents  # type: ignore[arg-type]


async def test_output_comes_to_its_end() -> None:
    process, agents = process_on("stdout")
    data = os.urandom(MIB)

    def send() -> None:
        with agents:
            agents.sendall(data)

    sending = asyncio.create_task(asyncio.to_thread(send))
    assert b"".join([chunk async for chunk in process.read_stdout()]) == data
    await sending
    process.close()


async def test_input_ends_with_its_end() -> None:
    process, agents = process_on("stdin")
    with agents, agents.makefile("rb") as file:
        await process.write_stdin(b"in")
        await process.close_stdin()
        assert file.read() == b"in"
    with pytest.raises(StatusError, match="no process reads it"):
        await process.write_stdin(bytes(MIB))
    with process_may_have_ended():
        await process.write_stdin(bytes(MIB))
    await process.close_stdin()
    process.close()
