# SPDX-License-Identifier: Apache-2.0
"""A port of this host whose connections lead to a program in a guest."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, Self

from kata_host.errors import FileError, SandboxError
from kata_host.forwarding.guest_socket import open_guest_socket
from kata_host.forwarding.published_port import PublishedPort
from kata_host.forwarding.relay import relay, reset

BACKLOG: Final = 128
PAUSE_SECONDS: Final = 0.1
"""The time before the next attempt to accept when descriptors are used up."""


class LocalPort:
    """Accepts connections during its block, and ends them with it."""

    def __init__(
        self,
        published: PublishedPort,
        address: str,
        container: str,
        refused: Callable[[str], None],
    ) -> None:
        """`address` is the agent's; `container` an id, or `guest_socket.GUEST`.

        A connection that the guest does not take is reset, and `refused` gets the line
        that says why.
        """
        self.published: Final = published
        self._address = address
        self._container = container
        self._refused = refused
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Listen. Raises `FileError` if the port is taken."""
        self._listener = _listen(self.published)
        self.port: int = self._listener.getsockname()[1]
        """The port of this host."""
        self._start(self._accept())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._listener.close()

    @property
    def place(self) -> str:
        """The address and the port of this host, as in a URL."""
        address, family = self.published.address, self.published.family
        host = f"[{address}]" if family == socket.AF_INET6 else address
        return f"{host}:{self.port}"

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, _ = await loop.sock_accept(self._listener)
            except OSError as error:
                self._refused(f"port {self.port}: {error.strerror}")
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            serving = self._start(self._serve(client))
            # Also if the task is cancelled before its first step.
            serving.add_done_callback(partial(_close, client))

    async def _serve(self, client: socket.socket) -> None:
        try:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            program = await open_guest_socket(
                self._address, self._container, self.published.request
            )
        except (SandboxError, OSError) as error:
            reset(client)
            self._refused(str(error))
            return
        except BaseException:
            reset(client)
            raise
        await relay(client, program)


def _close(client: socket.socket, _: asyncio.Task[None]) -> None:
    client.close()


def _listen(published: PublishedPort) -> socket.socket:
    listener = socket.socket(published.family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if published.family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind((published.address, published.port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise FileError(
            f"port {published.port} of {published.address}: "
            f"{os.strerror(error.errno or errno.EINVAL)}"
        ) from error
    return listener
