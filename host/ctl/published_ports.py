# SPDX-License-Identifier: Apache-2.0
"""The ports of this host that a command publishes."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING, Self

from kata_host.ctl.errors import CommandError
from kata_host.ctl.remark import remark

if TYPE_CHECKING:
    import socket

    from kata_host.forwarding.local_port import LocalPort
    from kata_host.forwarding.published_port import PublishedPort


class PublishedPorts:
    """Listens as a context manager, before the container is there to serve.

    The connections wait, until the command serves them, or the keeper of the container,
    which inherits the sockets.
    """

    def __init__(self, asked: Sequence[PublishedPort]) -> None:
        self.asked = asked
        self.listeners: Sequence[socket.socket] = ()

    def __enter__(self) -> Self:
        """Listen. Raises `CommandError` if a port is taken."""
        if not self.asked:
            return self
        from kata_host.forwarding.listener import listen

        with _errors_as_command_errors(), contextlib.ExitStack() as stack:
            self.listeners = [stack.enter_context(listen(port)) for port in self.asked]
            self._closing = stack.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self.asked:
            self._closing.close()

    @property
    def words(self) -> list[str]:
        """Each port and its program, as `--publish` takes them, with the port taken."""
        return [f"{place}:{target}" for place, target in self.places]

    @property
    def places(self) -> Sequence[tuple[str, int | str]]:
        """Address and port of this host, as in a URL, and the program of each."""
        if not self.asked:
            return []
        from kata_host.forwarding.listener import place_of

        places = map(place_of, self.listeners)
        return [
            (place, port.target) for place, port in zip(places, self.asked, strict=True)
        ]

    async def check(self, address: str) -> None:
        """Raise `CommandError` if the guest of the agent at `address` forwards none."""
        if not self.asked:
            return
        from kata_host.forwarding.guest_socket import dial_forwarder

        with _errors_as_command_errors():
            (await dial_forwarder(address)).close()

    @contextlib.asynccontextmanager
    async def served(self, address: str, container: str) -> AsyncIterator[None]:
        """Connect clients to the container during the block; say who is refused."""
        if not self.asked:
            yield
            return
        from kata_host.forwarding.local_port import LocalPort

        ports: list[LocalPort] = [
            LocalPort(port, address, container, remark, listener)
            for port, listener in zip(self.asked, self.listeners, strict=True)
        ]
        async with contextlib.AsyncExitStack() as stack:
            for port in ports:
                await stack.enter_async_context(port)
            yield


@contextlib.contextmanager
def _errors_as_command_errors() -> Iterator[None]:
    from kata_host.errors import SandboxError

    try:
        yield
    except (SandboxError, ValueError) as error:
        raise CommandError(str(error)) from error
