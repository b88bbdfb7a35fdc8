# SPDX-License-Identifier: Apache-2.0
"""The copies that are left at the end of a sandbox, on real sockets and pipes."""

from __future__ import annotations

import asyncio
import os
import socket
from unittest.mock import patch

from kata_agent.container import stream_copies
from kata_agent.container.output import Output
from kata_agent.container.stream_copies import StreamCopies
from kata_agent.container.stream_copy import StreamCopy
from kata_agent.container.stream_dialer import StreamDialer
from kata_agent.options.config import Config
from kata_agent.ports.unix_ports import UnixPorts
from tests.helpers.domain import container_request, open_sandbox
from tests.helpers.namespace import World, in_namespaces
from tests.helpers.stream_ports import BASE, accept, listen, receive_all

SIZE = 700_000
CONFIG = Config(container_pipe_size=1 << 20)
"""The pipe holds all of it."""


def copy(data: bytes) -> tuple[StreamCopy, socket.socket]:
    """Return the copy of an output that has ended, and the host's side."""
    reader, writer = os.pipe()
    os.write(writer, data)
    os.close(writer)
    agent, host = socket.socketpair()
    for each in (agent, host):
        each.setblocking(False)
    return StreamCopy(Output(reader), agent), host


async def test_the_end_waits_for_a_host_that_reads() -> None:
    copies = StreamCopies()
    under_way, host = copy(b"last words")
    copies.add(under_way)
    await copies.finish()
    assert under_way.is_done
    with host:
        assert await receive_all(host) == b"last words"


async def test_a_copy_that_is_cancelled_before_its_first_step_closes_everything() -> (
    None
):
    before = os.listdir("/proc/self/fd")
    under_way, host = copy(b"x")
    under_way.cancel()
    await under_way.wait_for_host()
    host.close()
    assert os.listdir("/proc/self/fd") == before


@in_namespaces("v1")
async def test_the_end_of_the_sandbox_does_not_wait_for_a_host_that_never_reads(
    world: World,
) -> None:
    with patch.object(stream_copies, "LONGEST_END", 0.1):
        async with open_sandbox(
            CONFIG, streams=StreamDialer(UnixPorts(BASE))
        ) as sandbox:
            request = container_request("c1", "head", "-c", str(SIZE), "/dev/zero")
            request.stdout_port = 2002
            listener = listen(2002)
            await sandbox.create_container(request)
            with listener, await accept(listener) as connection:
                await sandbox.start_container("c1")
                assert await sandbox.container("c1").processes.find("").wait() == 0
                await asyncio.wait_for(sandbox.destroy(), 30)
                assert 0 < len(await receive_all(connection)) < SIZE
