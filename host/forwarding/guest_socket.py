# SPDX-License-Identifier: Apache-2.0
"""A connection to a program in a guest, by the forwarder of the guest's agent."""

from __future__ import annotations

import asyncio
import socket
from typing import Final

from kata_host.errors import AgentError
from kata_host.explain import explain
from kata_host.guest.guest import FORWARD_OPTION, FORWARD_PORT
from kata_host.guest.guest_port import port_beside
from kata_host.printable import printable
from ttrpc.aio.dial import dial
from ttrpc.codes import Code
from ttrpc.errors import TtrpcError

ANSWER_TIMEOUT: Final = 30.0
"""Seconds until the forwarder has answered; it gives up after 10."""
_ANSWER_LIMIT: Final = 4096
"""Bytes of an answer: a guest may send a line without end."""
GUEST: Final = "-"
"""In place of a container's id: the guest itself."""


async def dial_forwarder(address: str) -> socket.socket:
    """Connect to the forwarder beside the agent at `address`.

    Raises `ValueError` for an address without ports, `AgentError` where there is none.
    """
    there = port_beside(address, FORWARD_PORT)
    try:
        return await dial(there, timeout=None)
    except (TtrpcError, OSError) as error:
        raise AgentError(
            f"guest: nothing forwards there, which {FORWARD_OPTION} turns on: "
            f"{printable(explain(error))}",
            Code.UNAVAILABLE,
        ) from error


async def open_guest_socket(address: str, container: str, target: str) -> socket.socket:
    """Return a nonblocking connection to a program in the guest of `address`.

    `container` is an id, or `GUEST`; `target` is `tcp:PORT` or `unix:/PATH`. Raises
    `AgentError` if the agent refuses, and as `dial_forwarder` does.
    """
    connection = await dial_forwarder(address)
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT):
            await _ask(connection, f"FORWARD {container} {target}\n")
    except OSError as error:
        connection.close()
        # A TimeoutError is an OSError as well.
        reason = "no answer" if isinstance(error, TimeoutError) else explain(error)
        raise AgentError(f"guest: {target}: {reason}", Code.UNAVAILABLE) from error
    except BaseException:
        connection.close()
        raise
    return connection


async def _ask(connection: socket.socket, request: str) -> None:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(connection, request.encode())
    answer = b""
    # Byte by byte, because the next bytes are the program's.
    while not answer.endswith(b"\n"):
        byte = await loop.sock_recv(connection, 1)
        if not byte or len(answer) > _ANSWER_LIMIT:
            raise ConnectionResetError("not answered by a forwarder")
        answer += byte
    if answer != b"OK\n":
        words = answer.decode(errors="replace").strip().removeprefix("ERROR ")
        raise AgentError(printable(words), Code.UNAVAILABLE)
