# SPDX-License-Identifier: Apache-2.0
"""A program of a guest on a port of this host, as a program uses it."""

from __future__ import annotations

import logging
from typing import Final

from kata_host.forwarding.guest_socket import dial_forwarder
from kata_host.forwarding.local_port import LocalPort
from kata_host.forwarding.published_port import LOOPBACK, PublishedPort
from kata_host.sdk.guest_connection import GuestConnection

log = logging.getLogger(__name__)

ANY_PORT: Final = 0
"""A free port of this host."""


class Forward:
    """A port of this host that leads to a program, until the end of the block.

        async with box.forward(8000) as url:
            urllib.request.urlopen(url)

    The guest needs no network. A connection for which no program listens is reset, and
    the reason is logged.
    """

    def __init__(
        self,
        connection: GuestConnection,
        container: str,
        target: int | str,
        host_port: int = ANY_PORT,
        address: str = LOOPBACK,
    ) -> None:
        """Use `Box.forward` or `Guest.forward` instead."""
        self._connection = connection
        self._local = LocalPort(
            PublishedPort(target, host_port, address),
            connection.address,
            container,
            lambda reason: log.info("connection reset", extra={"error": reason}),
        )

    async def __aenter__(self) -> str:
        """Listen; return `http://127.0.0.1:PORT`, whatever the program speaks.

        Raises `FileError` if the port is taken, `AgentError` if the agent forwards
        nothing, and `ValueError` if the guest's address has no ports.
        """
        async with self._connection.explained():
            (await dial_forwarder(self._connection.address)).close()
            await self._local.__aenter__()
        return f"http://{self._local.place}"

    async def __aexit__(self, *exc_info: object) -> None:
        await self._local.__aexit__(*exc_info)

    @property
    def port(self) -> int:
        """The port of this host."""
        return self._local.port
