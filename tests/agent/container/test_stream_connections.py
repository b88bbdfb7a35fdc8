# SPDX-License-Identifier: Apache-2.0
"""Streams over connections that the agent makes, with real containers."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from kata_agent.container.stream_dialer import StreamDialer
from kata_agent.errors import Unavailable
from kata_agent.ports.unix_ports import UnixPorts
from tests.helpers.domain import (
    container_request,
    exec_request,
    open_sandbox,
    read_all,
    started,
)
from tests.helpers.namespace import World, in_namespaces

BASE = Path("/run/guest.sock")


def _listen(port: int) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(f"{BASE}_{port}")
    listener.listen()
    listener.setblocking(False)
    return listener


async def _accept(listener: socket.socket) -> socket.socket:
    connection, _ = await asyncio.get_running_loop().sock_accept(listener)
    return connection


async def _receive_all(connection: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    chunks = []
    while chunk := await loop.sock_recv(connection, 1 << 16):
        chunks.append(chunk)
    return b"".join(chunks)


@in_namespaces("v1")
async def test_streams_flow_over_their_own_connections(world: World) -> None:
    loop = asyncio.get_running_loop()
    async with open_sandbox(streams=StreamDialer(UnixPorts(BASE))) as sandbox:
        listeners = [_listen(port) for port in (2001, 2002, 2003)]
        request = container_request("c1", "sh", "-c", "echo err >&2; cat; exit 4")
        request.stdin_port, request.stdout_port, request.stderr_port = 2001, 2002, 2003
        await sandbox.create_container(request)
        stdin, stdout, stderr = [await _accept(listener) for listener in listeners]
        await sandbox.start_container("c1")
        data = os.urandom(3 << 20)

        async def write() -> None:
            await loop.sock_sendall(stdin, data)
            stdin.close()

        writing = asyncio.create_task(write())
        assert await _receive_all(stdout) == data
        assert await _receive_all(stderr) == b"err\n"
        await writing
        assert await sandbox.container("c1").processes.wait("") == 4
        for each in (stdout, stderr, *listeners):
            each.close()


@in_namespaces("v1")
async def test_waiting_does_not_cut_a_stream_that_is_read_slowly(world: World) -> None:
    async with open_sandbox(streams=StreamDialer(UnixPorts(BASE))) as sandbox:
        listener = _listen(2002)
        container = await started(sandbox, "c1", "sleep", "1000")
        request = exec_request("c1", "e1", "sh", "-c", "yes | head -n 100000")
        request.stdout_port = 2002
        await sandbox.exec_process(request)
        connection = await _accept(listener)
        head = await asyncio.get_running_loop().sock_recv(connection, 2)
        waiting = asyncio.create_task(container.processes.wait("e1"))
        rest = await _receive_all(connection)
        assert head + rest == b"y\n" * 100000
        assert await waiting == 0
        connection.close()
        listener.close()


@in_namespaces("v1")
async def test_closing_stdin_takes_nothing_from_the_connection(world: World) -> None:
    async with open_sandbox(streams=StreamDialer(UnixPorts(BASE))) as sandbox:
        listener = _listen(2001)
        container = await started(sandbox, "c1", "sleep", "1000")
        request = exec_request("c1", "e1", "cat")
        request.stdin_port = 2001
        await sandbox.exec_process(request)
        connection = await _accept(listener)
        data = os.urandom(1 << 20)
        loop = asyncio.get_running_loop()
        sending = asyncio.ensure_future(loop.sock_sendall(connection, data))
        await asyncio.sleep(0)
        container.processes.find("e1").end_input()
        reading = asyncio.create_task(read_all(sandbox, "c1", "e1"))
        await sending
        connection.close()
        assert await reading == data
        listener.close()


@in_namespaces("v1")
async def test_a_port_on_which_the_host_does_not_listen_is_named(world: World) -> None:
    async with open_sandbox(streams=StreamDialer(UnixPorts(BASE))) as sandbox:
        request = container_request("c1", "true")
        request.stdout_port = 2002
        with pytest.raises(Unavailable, match="stdout port 2002"):
            await sandbox.create_container(request)
        assert sandbox.containers == []
