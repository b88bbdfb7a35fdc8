# SPDX-License-Identifier: Apache-2.0
"""Streams of processes over vsock connections of their own, made by the host."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from pathlib import Path

import pytest

from kata_host.client import AgentClient
from kata_host.guest.vm_guest import VmGuest
from tests.helpers.guest_container import request
from ttrpc.errors import StatusError

pytestmark = [pytest.mark.vm, pytest.mark.slow]

PORT = 1027
"""`agent.passfd_listener_port` of the shared guest."""
SIZE = 4 << 20


def connect(base: Path) -> tuple[socket.socket, int]:
    """Connect to the guest's port; return the host's port of the connection too."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(60)
    connection.connect(str(base))
    connection.sendall(b"CONNECT %d\n" % PORT)
    answer = b""
    while not answer.endswith(b"\n"):
        answer += connection.recv(1)
    word, port = answer.split()
    assert word == b"OK"
    return connection, int(port)


def receive_all(connection: socket.socket) -> bytes:
    chunks = []
    while chunk := connection.recv(1 << 16):
        chunks.append(chunk)
    return b"".join(chunks)


def receive_slowly(connection: socket.socket) -> int:
    """Return the number of bytes until the end."""
    received = 0
    while chunk := connection.recv(1 << 14):
        received += len(chunk)
        # A slow reader is one that takes time.
        time.sleep(0.002)
    return received


def send_all(connection: socket.socket, data: bytes) -> None:
    connection.sendall(data)
    connection.shutdown(socket.SHUT_WR)


async def test_streams_flow_over_connections_that_the_host_made(
    guest: VmGuest, client: AgentClient
) -> None:
    (stdin, stdin_port), (stdout, stdout_port) = (
        connect(guest.socket) for _ in range(2)
    )
    message = request("cat; exit 4")
    message.stdin_port, message.stdout_port = stdin_port, stdout_port
    data = os.urandom(SIZE)
    with stdin, stdout:
        await client.agent.create_container(message)
        container = client.container(message.container_id)
        await container.start()
        sending = asyncio.create_task(asyncio.to_thread(send_all, stdin, data))
        assert await asyncio.to_thread(receive_all, stdout) == data
        await sending
        assert await container.init.wait() == 4
    await container.remove()


async def test_a_slow_host_has_all_output_of_a_container_that_is_removed(
    guest: VmGuest, client: AgentClient
) -> None:
    stdout, port = connect(guest.socket)
    message = request(f"head -c {SIZE} /dev/zero")
    message.stdout_port = port
    with stdout:
        await client.agent.create_container(message)
        container = client.container(message.container_id)
        await container.start()
        receiving = asyncio.create_task(asyncio.to_thread(receive_slowly, stdout))
        assert await container.init.wait() == 0
        await container.remove()
        assert await receiving == SIZE


async def test_a_port_that_the_host_has_not_connected_from(client: AgentClient) -> None:
    message = request("true")
    message.stdout_port = 4711
    with pytest.raises(
        StatusError, match="stdout port 4711: no connection from the host"
    ):
        await client.agent.create_container(message)
