# SPDX-License-Identifier: Apache-2.0
"""The bytes between the host and a program, until both ways have ended.

event                            the other side gets
-----                            -------------------
one side ends its sending        all of it, then the end; the other way goes on
one side takes no more bytes     an error of its next send, if its kind of socket
                                 has such; the other way goes on
the host has gone                its end, and the end of the connection
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from functools import partial
from typing import Final

from kata_agent.console.peer import peer_has_gone
from kata_agent.console.pump import CHUNK, Pump

LOOK_SECONDS: Final = 1.0
"""The time between two looks whether a host that sends no more is still there: a
program that neither sends nor reads would keep its connection for ever."""
_UNREAD: Final = 64
"""Chunks that are read and dropped, at most: more than a socket holds."""


class Relay:
    """Moves the bytes of two nonblocking stream sockets, and owns both."""

    def __init__(self, host: socket.socket, program: socket.socket) -> None:
        self._sockets = (host, program)
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._done: asyncio.Future[None] = self._loop.create_future()
        self._look: asyncio.TimerHandle | None = None
        self._ways = 2
        self._pumps: list[Pump] = []

    async def run(self) -> None:
        """Return when both ways have ended; both sockets are closed then."""
        host, program = self._sockets
        try:
            for source, sink in ((host, program), (program, host)):
                self._pumps.append(
                    Pump(
                        self._loop,
                        source.fileno(),
                        sink.fileno(),
                        partial(self._ended, source, sink),
                    )
                )
            await self._done
        finally:
            self._close()

    def _ended(self, source: socket.socket, sink: socket.socket, broken: bool) -> None:
        """End one way: at the end of `source`, or as `sink` takes no more bytes."""
        with contextlib.suppress(OSError):
            if broken:
                _stop_receiving(source)
            else:
                sink.shutdown(socket.SHUT_WR)
        self._ways -= 1
        if not self._ways:
            self._finish()
        elif source is self._host:
            self._look_at_host()

    def _look_at_host(self) -> None:
        if peer_has_gone(self._host.fileno()):
            self._finish()
        else:
            self._look = self._loop.call_later(LOOK_SECONDS, self._look_at_host)

    def _finish(self) -> None:
        if not self._done.done():
            self._done.set_result(None)

    def _close(self) -> None:
        if self._look is not None:
            self._look.cancel()
        for pump in self._pumps:
            pump.stop()
        for each in self._sockets:
            each.close()


def _stop_receiving(source: socket.socket) -> None:
    """Make the peer's sends fail, also one that waits for room. Raises `OSError`.

    A shutdown alone does not wake a sender that waits (net/unix/af_unix.c).
    """
    source.shutdown(socket.SHUT_RD)
    for _ in range(_UNREAD):
        if not source.recv(CHUNK):
            return
