# SPDX-License-Identifier: Apache-2.0
"""A process's standard streams on connections of their own.

Instead of polling, a client of 4.x may name a host port for each stream. The agent
dials that port (`stream_dialer.py`), or takes the connection that came from it
(`stream_listener.py`). Bytes then flow as they come, and the end of a stream is the
end of its connection's direction.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Final, Self

from kata_agent.container.output import Output
from kata_agent.container.stdio import Input, Stdio
from kata_agent.container.stream_ports import StreamPorts
from kata_agent.container.stream_source import StreamSource
from kata_agent.errors import Internal, Unavailable
from kata_tracing import semconv
from kata_tracing.span import span

_CHUNK: Final = 1 << 18
"""Bytes that are copied at once, at most."""


class StreamConnections:
    """The connections of one process; `close` closes them unless they are attached."""

    def __init__(self) -> None:
        self._sockets: dict[str, socket.socket] = {}

    @classmethod
    async def open(cls, ports: StreamPorts, source: StreamSource | None) -> Self:
        """Open one for each port. Raises `Unavailable` with the port that fails."""
        connections = cls()
        for stream in ("stdin", "stdout", "stderr"):
            port = getattr(ports, stream)
            if not port:
                continue
            try:
                with span(
                    "stream.connect",
                    {semconv.STREAM: stream, semconv.PORT: port},
                    subsystem="container",
                ):
                    connection = await _open(source, port)
            except OSError as error:
                connections.close()
                raise Unavailable(f"{stream} port {port}: {error}") from error
            connection.setblocking(False)
            connections._sockets[stream] = connection
        return connections

    @property
    def has_stdin(self) -> bool:
        return "stdin" in self._sockets

    def attach(self, stdio: Stdio) -> list[asyncio.Task[None]]:
        """Let the bytes flow; the returned tasks own the connections from now on."""
        tasks = []
        for stream, connection in self._sockets.items():
            if stream == "stdin":
                copying = _copy_in(connection, stdio.input)
            elif stream == "stdout" or stdio.stderr is None:
                copying = _copy_out(stdio.stdout, connection)
            else:
                copying = _copy_out(stdio.stderr, connection)
            tasks.append(asyncio.create_task(copying))
        self._sockets.clear()
        return tasks

    def close(self) -> None:
        """Close the connections that are not attached."""
        for connection in self._sockets.values():
            connection.close()
        self._sockets.clear()


async def _open(source: StreamSource | None, port: int) -> socket.socket:
    if source is None:
        raise OSError("this guest has no ports")
    return await source.open(port)


async def _copy_out(output: Output, connection: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    with connection:
        # Once the host has left, no client reads the rest. The process keeps running
        # and sees a closed pipe, as with `docker attach`.
        with contextlib.suppress(ConnectionError):
            while data := await output.read(_CHUNK):
                await loop.sock_sendall(connection, data)
        output.close()


async def _copy_in(connection: socket.socket, stdin: Input) -> None:
    loop = asyncio.get_running_loop()
    with connection:
        with contextlib.suppress(ConnectionError, Internal):
            while data := await loop.sock_recv(connection, _CHUNK):
                await stdin.write(data)
        stdin.end()
