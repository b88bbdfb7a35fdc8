# SPDX-License-Identifier: Apache-2.0
"""Connects the host to programs in the guest: `agent.forward_vport=PORT`.

The listener is one of the agent's ports, which take connections of the host and of no
other. A connection that asks for nothing, or for something that is not there, gets a
line that says so and is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kata_agent.errors import AgentError, InvalidArgument, Timeout
from kata_agent.forward.connect import connect
from kata_agent.forward.relay import Relay
from kata_agent.forward.request import LINE_LIMIT, parse_request
from kata_agent.ports.acceptor import Acceptor

log = logging.getLogger(__name__)

CONNECTION_LIMIT: Final = 256
"""Connections at a time; the next are refused."""
REQUEST_TIMEOUT: Final = 10.0
"""Seconds from the connection to the end of its first line."""
_ERROR_LIMIT: Final = 1000
"""Characters of an error that the host is told."""


class Forwarder:
    """Accepts connections until it is closed."""

    def __init__(self, proc_of: Callable[[str], Path]) -> None:
        """`proc_of` finds a running process in a container, by the container's id.

        It returns the process's directory in `/proc`; for the guest itself, whose id is
        empty, that of the agent. It raises `AgentError`.
        """
        self._proc_of = proc_of
        self._acceptor: Acceptor | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def listen(self, listener: socket.socket) -> None:
        """Accept connections from `listener`, a nonblocking socket, and own it."""
        self._acceptor = Acceptor(listener, self._accepted)

    async def close(self) -> None:
        """Stop listening, and end every connection."""
        if self._acceptor is not None:
            self._acceptor.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accepted(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        if len(self._tasks) >= CONNECTION_LIMIT:
            log.warning("forwarding refused", extra={"limit": CONNECTION_LIMIT})
            _answer(connection, f"ERROR over {CONNECTION_LIMIT} connections")
            connection.close()
            return
        task = asyncio.create_task(self._serve(connection))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        # Also if the task is cancelled before its first step.
        task.add_done_callback(lambda _: connection.close())

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("forwarding failed", exc_info=error)

    async def _serve(self, connection: socket.socket) -> None:
        try:
            line, first = await _receive_line(connection)
            request = parse_request(line)
            program = await connect(
                request, lambda: self._proc_of(request.container_id)
            )
        except AgentError as error:
            log.debug("forwarding refused", extra={"error": str(error)})
            _answer(connection, f"ERROR {str(error)[:_ERROR_LIMIT]}")
            return
        except OSError as error:
            log.debug("forwarding ended", extra={"error": str(error)})
            return
        with contextlib.closing(program):
            _answer(connection, "OK")
            with contextlib.suppress(OSError):
                await asyncio.get_running_loop().sock_sendall(program, first)
            await Relay(connection, program).run()


async def _receive_line(connection: socket.socket) -> tuple[bytes, bytes]:
    """Return the first line, without its end, and bytes that came after it.

    Raises `OSError`, `InvalidArgument` if the line is too long or has no end, and
    `Timeout`.
    """
    loop = asyncio.get_running_loop()
    received = b""
    try:
        async with asyncio.timeout(REQUEST_TIMEOUT):
            while b"\n" not in received:
                # At the limit, no bytes are asked for, and none come.
                data = await loop.sock_recv(connection, LINE_LIMIT - len(received))
                if not data:
                    raise InvalidArgument("request: not one line")
                received += data
    except TimeoutError as error:
        raise Timeout(f"request: not sent in {REQUEST_TIMEOUT:g} s") from error
    line, _, first = received.partition(b"\n")
    return line, first


def _answer(connection: socket.socket, line: str) -> None:
    """Send one line, which the empty buffer of a new connection has room for."""
    with contextlib.suppress(OSError):
        connection.send(line.encode("utf-8", "backslashreplace") + b"\n")
