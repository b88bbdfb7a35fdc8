# SPDX-License-Identifier: Apache-2.0
"""A process's standard streams on connections of their own.

Instead of polling, a client of 4.x may name a host port for each stream. The
agent connects to it, or takes the connection that came from it
(`kata_agent.container.stdio_accept`); from then on bytes flow as they come, and the end
of a stream is the end of its connection's direction.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import dataclass
from typing import Final, Protocol, Self

from kata_agent.blocking import blocking
from kata_agent.container.stdio import Input, Output, Stdio
from kata_agent.errors import Internal, Unavailable
from kata_agent.ports.ports import Ports
from kata_tracing import semconv
from kata_tracing.span import span

CONNECT_TIMEOUT: Final = 10.0
_CHUNK: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class StreamPorts:
    """The host ports of a process's streams; 0 is none."""

    stdin: int = 0
    stdout: int = 0
    stderr: int = 0

    def __bool__(self) -> bool:
        return bool(self.stdin or self.stdout or self.stderr)


class StreamSource(Protocol):
    """Where a stream's connection comes from."""

    async def open(self, port: int) -> socket.socket:
        """Return the connection with host port `port`. Raises `OSError`."""
        ...


class DialledStreams:
    """Connects to the host, which listens on the port."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def open(self, port: int) -> socket.socket:
        return await blocking(self._ports.connect, port, CONNECT_TIMEOUT)


class StreamSockets:
    """Connections to the host for one process; closed again unless `attach`ed."""

    def __init__(self) -> None:
        self._sockets: dict[str, socket.socket] = {}

    @classmethod
    async def connect(cls, wanted: StreamPorts, source: StreamSource | None) -> Self:
        """Connect to each port. Raises `Unavailable` naming the one that fails."""
        sockets = cls()
        for name in ("stdin", "stdout", "stderr"):
            port = getattr(wanted, name)
            if not port:
                continue
            try:
                with span(
                    "stream.connect",
                    {semconv.STREAM: name, semconv.PORT: port},
                    subsystem="container",
                ):
                    connection = await _open(source, port)
            except OSError as error:
                sockets.close()
                raise Unavailable(f"{name} port {port}: {error}") from error
            connection.setblocking(False)
            sockets._sockets[name] = connection
        return sockets

    @property
    def carry_input(self) -> bool:
        """Whether one of them is for stdin."""
        return "stdin" in self._sockets

    def attach(self, stdio: Stdio) -> list[asyncio.Task[None]]:
        """Let the bytes flow; the tasks own the connections from now on."""
        tasks = []
        for name, connection in self._sockets.items():
            if name == "stdin":
                copying = _copy_in(connection, stdio.input)
            elif name == "stdout" or stdio.stderr is None:
                copying = _copy_out(stdio.stdout, connection)
            else:
                copying = _copy_out(stdio.stderr, connection)
            tasks.append(asyncio.create_task(copying))
        self._sockets.clear()
        return tasks

    def close(self) -> None:
        """Close what was not attached."""
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
        # When the host has left, the rest is read by nobody: as `docker attach`
        # does, the process keeps running and sees a closed pipe.
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
