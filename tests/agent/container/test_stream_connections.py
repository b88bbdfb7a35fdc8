# SPDX-License-Identifier: Apache-2.0
"""Streams over connections that the agent makes, with real containers."""

from __future__ import annotations

import asyncio
import os
import socket

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
from tests.helpers.stream_ports import BASE, accept, listen, receive_all


@in_namespaces("v1")
async def test_streams_flow_over_their_own_connections(world: World) -> None:
    loop = asyncio.get_running_loop()
    async with open_sandbox(streams=StreamDialer(UnixPorts(BASE))) as sandbox:
        listeners = [listen(port) for port in (2001, 2002, 2003)]
        request = container_request("c1", "sh", "-c", "echo err >&2; cat; exit 4")
        request.stdin_port, request.stdout_port, request.stderr_port = 2001, 2002, 2003
        await sandbox.create_container(request)
        stdin, stdout, stderr = [await accept(listener) for listener in listeners]
        await sandbox.start_container("c1")
        data = os.urandom(3 << 20)

        async def write() -> None:
            await loop.sock_sendall(stdin, data)
            stdin.close()

        writing = asyncio.create_task(write())
        assert await receive_all(stdout) == data
        assert await receive_all(stderr) == b"err\n"
        await writing
        assert await sandbox.container("c1").processes.wait("") == 4
        for each in (stdout, stderr, *listeners):
            each.close()


@in_namespaces("v1")
async def test_waiting_does_not_cut_a_stream_that_is_read_slowly(world: World) -> None:
    async with open_sandbox(streams=StreamDialer(UnixPorts(BASE))) as sandbox:
        listener = listen(2002)
        container = await started(sandbox, "c1", "sleep", "1000")
        request = exec_request("c1", "e1", "sh", "-c", "yes | head -n 100000")
        request.stdout_port = 2002
        await sandbox.exec_process(request)
        connection = await accept(listener)
        head = await asyncio.get_running_loop().sock_recv(connection, 2)
        waiting = asyncio.create_task(container.processes.wait("e1"))
        rest = await receive_all(connection)
        assert head + rest == b"y\n" * 100000
        assert await waiting == 0
        connection.close()
        listener.close()


@in_namespaces("v1")
async def test_closing_stdin_takes_nothing_from_the_connection(world: World) -> None:
    async with open_sandbox(streams=StreamDialer(UnixPorts(BASE))) as sandbox:
        listener = listen(2001)
        container = await started(sandbox, "c1", "sleep", "1000")
        request = exec_request("c1", "e1", "cat")
        request.stdin_port = 2001
        await sandbox.exec_process(request)
        connection = await accept(listener)
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
async def test_the_one_output_of_a_terminal_goes_to_one_connection(
    world: World,
) -> None:
    async with open_sandbox(streams=StreamDialer(UnixPorts(BASE))) as sandbox:
        listeners = [listen(port) for port in (2002, 2003)]
        request = container_request("c1", "sh", "-c", "seq 1 3000", terminal=True)
        request.stdout_port, request.stderr_port = 2002, 2003
        await sandbox.create_container(request)
        stdout, stderr = [await accept(listener) for listener in listeners]
        await sandbox.start_container("c1")
        received = await asyncio.gather(receive_all(stdout), receive_all(stderr))
        lines = [b"%d" % number for number in range(1, 3001)]
        assert received[0].split() == lines
        assert received[1] == b""
        for each in (stdout, stderr, *listeners):
            each.close()


@in_namespaces("v1")
async def test_a_host_that_keeps_stdin_open_sees_the_end_of_the_process(
    world: World,
) -> None:
    async with open_sandbox(streams=StreamDialer(UnixPorts(BASE))) as sandbox:
        listener = listen(2001)
        container = await started(sandbox, "c1", "sleep", "1000")
        before = len(os.listdir("/proc/self/fd"))
        request = exec_request("c1", "e1", "true")
        request.stdin_port = 2001
        await sandbox.exec_process(request)
        with listener, await accept(listener) as connection:
            assert await container.processes.wait("e1") == 0
            assert await receive_all(connection) == b""
        assert len(os.listdir("/proc/self/fd")) < before + 2


@in_namespaces("v1")
async def test_a_process_that_closes_its_stdin_ends_the_connection(
    world: World,
) -> None:
    async with open_sandbox(streams=StreamDialer(UnixPorts(BASE))) as sandbox:
        listener = listen(2001)
        await started(sandbox, "c1", "sleep", "1000")
        request = exec_request("c1", "e1", "sh", "-c", "exec <&-; exec sleep 1000")
        request.stdin_port = 2001
        await sandbox.exec_process(request)
        with listener, await accept(listener) as connection:
            # More than the sockets and the pipe hold.
            sending = asyncio.get_running_loop().sock_sendall(
                connection, bytes(8 << 20)
            )
            with pytest.raises(ConnectionError):
                await sending


@in_namespaces("v1")
async def test_an_output_that_the_host_half_closes_goes_on(world: World) -> None:
    async with open_sandbox(streams=StreamDialer(UnixPorts(BASE))) as sandbox:
        listener = listen(2002)
        container = await started(sandbox, "c1", "sleep", "1000")
        request = exec_request("c1", "e1", "sh", "-c", "read x; echo $x")
        request.stdout_port = 2002
        await sandbox.exec_process(request)
        with listener, await accept(listener) as connection:
            connection.shutdown(socket.SHUT_WR)
            await container.processes.find("e1").stdio.input.write(b"out\n")
            assert await receive_all(connection) == b"out\n"
        assert await container.processes.wait("e1") == 0


@in_namespaces("v1")
async def test_a_port_on_which_the_host_does_not_listen_is_named(world: World) -> None:
    async with open_sandbox(streams=StreamDialer(UnixPorts(BASE))) as sandbox:
        request = container_request("c1", "true")
        request.stdout_port = 2002
        with pytest.raises(Unavailable, match="stdout port 2002"):
            await sandbox.create_container(request)
        assert sandbox.containers == []
