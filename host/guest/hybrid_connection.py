# SPDX-License-Identifier: Apache-2.0
"""One client of a hybrid-vsock socket: its command, then the bytes of both sides."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TypeAlias

from kata_host.guest.hybrid_command import (
    COMMAND_LIMIT,
    FIRST_HOST_PORT,
    format_ok,
    parse_command,
)
from kata_host.guest.hybrid_flow import Flow

Connect: TypeAlias = Callable[[int], socket.socket]
"""Connects to a port of the guest. Raises `OSError` when nothing listens there."""


class HybridConnection:
    """A connection of `client`; `number` counts the connections of the server."""

    def __init__(self, client: socket.socket, connect: Connect, number: int) -> None:
        self.client = client
        self.guest: socket.socket | None = None
        """The guest's side, None until the client's command has been received."""
        self.ended = False
        self._connect = connect
        self._number = number
        self._command = b""
        self._flows: list[Flow] = []
        self._gone: set[socket.socket] = set()

    def mark_gone(self, fd: int) -> None:
        """Note that the side with descriptor `fd` neither sends nor reads any more."""
        self._gone.add(
            self.client
            if self.guest is None or fd == self.client.fileno()
            else self.guest
        )

    def advance(self, chunk: memoryview) -> bool:
        """Do as much as possible without waiting; return whether there may be more."""
        if self.guest is None:
            self._receive_command()
        if self.guest is None or self.ended:
            return False
        more = [flow.move(chunk) for flow in self._flows]
        to_guest, to_client = self._flows
        # A side that is gone takes no bytes, so only its own bytes are waited for.
        self.ended = (
            (to_guest.done and to_client.done)
            or (to_guest.done and self.client in self._gone)
            or (to_client.done and self.guest in self._gone)
        )
        return any(more)

    def _receive_command(self) -> None:
        """Read more of the command; connect once it is whole, end if it is invalid."""
        while b"\n" not in self._command:
            try:
                data = self.client.recv(COMMAND_LIMIT - len(self._command))
            except BlockingIOError:
                return
            except OSError:
                data = b""
            # At the limit, recv is asked for no bytes and returns none.
            if not data:
                self.ended = True
                return
            self._command += data
        line, newline, first = self._command.partition(b"\n")
        try:
            guest = self._connect(parse_command(line + newline))
        except (ValueError, OSError):
            self.ended = True
            return
        self.guest = guest
        guest.setblocking(False)
        self._flows = [
            Flow(self.client, guest, first),
            # The OK comes first: no byte of the guest can overtake it.
            Flow(guest, self.client, format_ok(FIRST_HOST_PORT + self._number)),
        ]
