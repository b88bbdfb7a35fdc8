# SPDX-License-Identifier: Apache-2.0
"""A port of this host whose connections lead to a program in a guest."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, Self

from kata_host.errors import SandboxError
from kata_host.forwarding.guest_socket import open_guest_socket
from kata_host.forwarding.listener import listen, place_of
from kata_host.forwarding.published_port import PublishedPort
from kata_host.forwarding.relay import relay, reset

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
        listener: socket.socket | None = None,
    ) -> None:
        """`address` is the agent's; `container` an id, or `guest_socket.GUEST`.

        A connection that the guest does not take is reset, and `refused` gets the line
        that says why. A `listener` that is given listens before the block and after it.
        """
        self.published: Final = published
        self._given = listener
        self._address = address
        self._container = container
        self._refused = refused
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Listen. Raises `FileError` if the port is taken."""
        given = self._given
        self._listener = listen(self.published) if given is None else given.dup()
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
        return place_of(self._listener)

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
