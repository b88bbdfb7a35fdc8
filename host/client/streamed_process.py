# SPDX-License-Identifier: Apache-2.0
"""A process of which one stream has a connection of its own, for many bytes.

A call for each chunk costs the bytes several copies, and each chunk its way there and
back. The end of the stream is the end of the connection. So what this program sends
ends with this program, however that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Final

from kata_host.client.container_process import ContainerProcess
from kata_host.client.stream_port import Stream
from kata_protos.agent_ttrpc import AgentServiceClient
from ttrpc.codes import Code
from ttrpc.errors import Closed, StatusError

BUFFER: Final = 1 << 20
"""Bytes that the kernel is asked to keep; it keeps fewer (man 7 socket, SO_SNDBUF)."""
RECEIVE_SIZE: Final = 256 << 10
"""Bytes of one chunk. Larger ones would be fewer, but their memory is the kernel's
anew each time (man 3 mallopt, M_MMAP_THRESHOLD)."""


class StreamedProcess(ContainerProcess):
    """Owns `connection`, which is that of `stream`, until `close`."""

    def __init__(
        self,
        agent: AgentServiceClient,
        container_id: str,
        exec_id: str,
        stream: Stream,
        connection: socket.socket,
    ) -> None:
        super().__init__(agent, container_id, exec_id)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        self._stream = stream
        self._connection = connection

    def read_stdout(self) -> AsyncIterator[bytes]:
        if self._stream == "stdout":
            return self._receive()
        return super().read_stdout()

    async def write_stdin(self, data: bytes) -> None:
        if self._stream != "stdin":
            await super().write_stdin(data)
            return
        try:
            await asyncio.get_running_loop().sock_sendall(self._connection, data)
        except (BrokenPipeError, ConnectionResetError) as error:
            # As the agent answers a call then.
            why = "stdin: no process reads it any more"
            raise StatusError(Code.FAILED_PRECONDITION, why) from error

    async def close_stdin(self) -> None:
        if self._stream != "stdin":
            await super().close_stdin()
            return
        # The process may have ended, and its connection with it.
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._connection.close()

    async def _receive(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        try:
            while data := await loop.sock_recv(self._connection, RECEIVE_SIZE):
                yield data
        except ConnectionResetError as error:
            raise Closed(f"stdout: {error.strerror}") from error
