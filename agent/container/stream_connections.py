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

from kata_agent.container.stdio import Input, Stdio
from kata_agent.container.stream_copy import StreamCopy
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

    def attach(
        self, stdio: Stdio
    ) -> tuple[asyncio.Task[None] | None, list[StreamCopy]]:
        """Let the bytes flow: return the copying of the input, and of the outputs.

        They own the connections from now on.
        """
        copying_in, copies = None, []
        if (stdin := self._sockets.pop("stdin", None)) is not None:
            copying_in = asyncio.create_task(_copy_in(stdin, stdio.input))
            # Also if the task is cancelled before its first step.
            copying_in.add_done_callback(lambda _: stdin.close())
        if stdio.stderr is None and len(self._sockets) == 2:
            # The one output of a terminal goes to one connection whole.
            self._sockets.pop("stderr").close()
        for stream, connection in self._sockets.items():
            output = stdio.stderr if stream == "stderr" else None
            copies.append(StreamCopy(output or stdio.stdout, connection))
        self._sockets.clear()
        return copying_in, copies

    def close(self) -> None:
        """Close the connections that are not attached."""
        for connection in self._sockets.values():
            connection.close()
        self._sockets.clear()


async def _open(source: StreamSource | None, port: int) -> socket.socket:
    if source is None:
        raise OSError("this guest has no ports")
    return await source.open(port)


async def _copy_in(connection: socket.socket, stdin: Input) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError, Internal):
        while data := await loop.sock_recv(connection, _CHUNK):
            await stdin.write(data)
    stdin.end()
