# SPDX-License-Identifier: Apache-2.0
"""Accepts the connections of one guest port on the event loop."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Final

log = logging.getLogger(__name__)

BATCH: Final = 16
"""Connections that are accepted in one turn of the loop, at most."""
PAUSE_SECONDS: Final = 0.1
"""The time before the next attempt when descriptors or memory are used up: until then
the listener stays readable, and the loop would turn without a rest."""


class Acceptor:
    """A listening socket on the event loop, until it is closed."""

    def __init__(
        self, listener: socket.socket, accepted: Callable[[socket.socket], None]
    ) -> None:
        """Call `accepted` with each connection, which the called function then owns.

        The acceptor owns `listener`, a nonblocking socket.
        """
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._accepted = accepted
        self._pause: asyncio.TimerHandle | None = None
        self._resume()

    def close(self) -> None:
        """Stop to accept, and close the listener; harmless if closed."""
        if self._listener.fileno() < 0:
            return
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()

    def _resume(self) -> None:
        try:
            self._loop.add_reader(self._listener, self._accept)
        except OSError as error:
            self._rest(error)

    def _rest(self, error: OSError) -> None:
        log.warning("connections wait", extra={"error": str(error)})
        self._pause = self._loop.call_later(PAUSE_SECONDS, self._resume)

    def _accept(self) -> None:
        for _ in range(BATCH):
            try:
                connection, _address = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                self._loop.remove_reader(self._listener)
                self._rest(error)
                return
            self._accepted(connection)
            if self._listener.fileno() < 0:
                return
